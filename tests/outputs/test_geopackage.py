"""A GeoPackage holds the things."""

from pathlib import Path

import pytest
from formatting import answer
from geotiffs import georeferenced

from prompttune.outputs.formats import write_formats


def test_geopackage(tmp_path: Path) -> None:
    raw = pytest.importorskip("pyogrio.raw")
    shapely = pytest.importorskip("shapely")
    image = georeferenced(tmp_path / "a.tif")
    write_formats(["gpkg"], answer(image), tmp_path / "out.tif")
    meta, _, geometry, fields = raw.read(tmp_path / "out.gpkg")
    assert "32633" in meta["crs"]
    polygons = shapely.from_wkb(geometry)
    found = dict(zip(fields[0], polygons, strict=True))
    assert found["pond"].area == pytest.approx(91 / 4)
    assert found["road"].bounds == (4e5 + 1, 58e5 - 9, 4e5 + 11, 58e5 - 7.5)
    assert dict(zip(fields[0], fields[2], strict=True)) == {"pond": 91 / 4, "road": 15.0}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "out.gpkg"]
