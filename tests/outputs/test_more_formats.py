"""Score maps, GeoPackage, lengths and millimeters."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from geotiffs import georeferenced

from prompttune.geo.georeference import read_georeference
from prompttune.outputs.formats import Answer, AreaTable, write_formats
from prompttune.outputs.lengths import center_line_length
from prompttune.prompts.palette import Palette

MAP = np.zeros((20, 24), np.uint8)
MAP[3:13, 4:14], MAP[6:9, 7:10], MAP[15:18, 2:22] = 1, 0, 2
SCORES = np.random.default_rng(0).random((2, 20, 24), np.float32)


def answer(image: Path, mm: tuple[float, float] | None = None) -> Answer:
    place = read_georeference(image)
    return Answer(image, None, MAP, Palette.of(["pond", "road"]), place, 1, SCORES, mm)


def test_scores(tmp_path: Path) -> None:
    image = georeferenced(tmp_path / "a.tif")
    write_formats(["scores", "npz"], answer(image), tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out_scores.tif") as file:
        np.testing.assert_array_equal(file.asarray(), SCORES)
        assert file.pages.first.tags[33550].value[:2] == (0.5, 0.5)
    with np.load(tmp_path / "out_scores.npz", allow_pickle=False) as content:
        np.testing.assert_array_equal(content["scores"], SCORES)
        assert content["classes"].tolist() == ["pond", "road"]


def test_scores_are_rasters_to_gdal(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    image = georeferenced(tmp_path / "a.tif")
    write_formats(["scores"], answer(image), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out_scores.tif") as file:
        np.testing.assert_array_equal(file.read(), SCORES)
        assert file.crs.to_epsg() == 32633


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


def test_lengths() -> None:
    line = np.zeros((30, 50), bool)
    line[14:17, 5:45] = True
    assert center_line_length(line) == pytest.approx(38, abs=3)
    assert center_line_length(line, (0.5, 1)) == pytest.approx(19, abs=3)
    slanted = np.eye(40, dtype=bool)
    assert center_line_length(slanted) == pytest.approx(39 * 2**0.5, abs=3)
    corner = np.zeros((20, 20), bool)
    corner[5, 5:15] = corner[5:15, 5] = True
    assert center_line_length(corner) == pytest.approx(18, abs=2)
    assert center_line_length(np.zeros((5, 5), bool)) == 0


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
