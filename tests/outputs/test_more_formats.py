"""Score maps, GeoPackage, lengths and millimeters."""

import csv
from pathlib import Path

import pytest
from formatting import answer
from geotiffs import georeferenced

from prompttune.outputs.tables import AreaTable


@pytest.mark.parametrize("kind", ["map", "mm"])
def test_areas_and_lengths_have_units(tmp_path: Path, kind: str) -> None:
    image = georeferenced(tmp_path / "a.tif") if kind == "map" else tmp_path / "a.dcm"
    table = AreaTable()
    table.add(answer(image, (0.5, 0.25) if kind == "mm" else None))
    table.write(tmp_path)
    with (tmp_path / "areas.csv").open() as file:
        pond, road = csv.DictReader(file)
    factor = 0.25 if kind == "map" else 0.125
    assert float(pond["area"]) == pytest.approx(91 * factor)
    assert pond["unit"] == ("map units squared" if kind == "map" else "mm2")
    assert float(road["length"]) == pytest.approx(9, abs=1.2)
    assert road["length_unit"] == ("map units" if kind == "map" else "mm")
