"""Answers in other tools' formats give the same pixels when they are read again."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from formatting import SCORES, answer
from geotiffs import TAGS, georeferenced
from geotiffs import line as line
from PIL import Image
from predicting import backbone as backbone
from predicting import fails

from prompttune.cli import predict
from prompttune.data.annotations.outlines import Polygons
from prompttune.data.layouts import find_split, load_sample
from prompttune.geo.georeference import Georeference, read_georeference
from prompttune.outputs.formats import Answer, write_formats
from prompttune.outputs.outlines import find_shapes
from prompttune.prompts.palette import Palette

PALETTE = Palette.of(["crack", "pothole"])
PLACE = Georeference(tuple(TAGS))


def blobs(seed: int, holes: bool) -> np.ndarray:
    """Return a class map of things; without holes where these cannot be kept."""
    import cv2

    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((40, 60)).astype(np.float32), (0, 0), 2.5)
    class_map = np.digitize(noise, np.quantile(noise, (0.7, 0.9))).astype(np.uint8)
    if holes:
        return class_map
    plain = np.zeros_like(class_map)
    for shape in find_shapes(class_map):
        if len(shape.rings) == 1:
            left, top, width, height = shape.box
            plain[top : top + height, left : left + width][shape.mask] = shape.number
    return plain


@pytest.mark.parametrize("seed", range(5))
def test_outlines_painted_give_the_same_pixels(seed: int) -> None:
    class_map = blobs(seed, holes=True)
    painted = np.zeros_like(class_map)
    count = 0
    for shape in find_shapes(class_map):
        alone = np.zeros_like(class_map)
        Polygons(shape.rings[:1]).paint(alone, 1)
        for hole in shape.rings[1:]:
            Polygons((hole,)).paint(alone, 0)
        assert alone.sum() == shape.area
        painted[alone > 0] = shape.number
        count += 1
    assert count > 5
    np.testing.assert_array_equal(painted, class_map)
    assert all(shape.area >= 30 for shape in find_shapes(class_map, 30))


def answer_at(folder: Path, class_map: np.ndarray, place: Georeference | None = None) -> Answer:
    height, width = class_map.shape
    (folder / "images").mkdir(parents=True, exist_ok=True)
    image = folder / "images" / "a.png"
    Image.new("RGB", (width, height)).save(image)
    return Answer(image, None, class_map, PALETTE, place, 1)


def read_again(folder: Path) -> np.ndarray:
    (sample,) = find_split(folder, classes=PALETTE.classes).train
    return load_sample(sample, 2).class_map


@pytest.mark.parametrize("holes", [False, True])
def test_labelme_comes_back(tmp_path: Path, holes: bool) -> None:
    class_map = blobs(1, holes)
    write_formats(["labelme"], answer_at(tmp_path, class_map), tmp_path / "images" / "a.tif")
    content = json.loads((tmp_path / "images" / "a.json").read_text())
    assert content["imagePath"] == "a.png"
    assert {shape["shape_type"] for shape in content["shapes"]} >= {"polygon"}
    np.testing.assert_array_equal(read_again(tmp_path), class_map)


def test_yolo_comes_back(tmp_path: Path) -> None:
    class_map = blobs(2, holes=False)
    (tmp_path / "labels").mkdir()
    write_formats(["yolo"], answer_at(tmp_path, class_map), tmp_path / "labels" / "a.png")
    (tmp_path / "data.yaml").write_text("names: {0: crack, 1: pothole}")
    np.testing.assert_array_equal(read_again(tmp_path), class_map)


def test_geojson_lies_where_the_picture_does(tmp_path: Path) -> None:
    class_map = np.zeros((20, 24), np.uint8)
    class_map[4:8, 10:16] = 2
    write_formats(["geojson"], answer_at(tmp_path, class_map, PLACE), tmp_path / "a.png")
    content = json.loads((tmp_path / "a.geojson").read_text())
    (feature,) = content["features"]
    assert feature["properties"] == {"class": "pothole", "pixels": 24}
    assert content["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    x, y = np.array(ring).T
    assert (x.min(), x.max()) == (400005.0, 400008.0)
    assert (y.min(), y.max()) == (5799996.0, 5799998.0)


def test_a_point_of_a_pixel_is_its_center() -> None:
    keys = (1, 1, 0, 1, 1025, 0, 1, 2)
    place = Georeference((*TAGS[:2], (34735, "H", 8, keys, True)))
    assert place.at(np.array([[0.5, 0.5]])).tolist() == [[400000.0, 5800000.0]]
    matrix = (2, 0, 0, 100, 0, -3, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1)
    turned = Georeference(((34264, "d", 16, matrix, True),))
    assert turned.at(np.array([[1.0, 1.0]])).tolist() == [[102.0, 47.0]]
    assert (turned.pixel_area, turned.epsg, Georeference(()).matrix) == (6.0, None, None)


def test_all_formats_of_a_command(tmp_path: Path, line) -> None:
    georeferenced(tmp_path / "ortho.tif")
    with Image.open(tmp_path / "ortho.tif") as image:
        image.save(tmp_path / "photo.png")
    words = ("--format", "labelme", "yolo", "geojson", "csv", "--min_area", 2)
    paths = (tmp_path / "ortho.tif", tmp_path / "photo.png")
    assert predict.main(line(*paths, *words)) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"{stem}{end}" for stem in ("ortho", "photo")
            for end in (".json", ".txt", ".geojson")} <= names  # fmt: skip
    table = tmp_path / "out" / "areas.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(Path(row["image"]).name, row["class"]) for row in rows] == [
        ("ortho.tif", "foreground"),
        ("photo.png", "foreground"),
    ]
    assert float(rows[0]["area"]) == 0.25 * float(rows[0]["pixels"])
    assert float(rows[1]["area"]) == float(rows[1]["pixels"])
    assert predict.main(line(*paths, *words, "--skip_done")) == 0
    (tmp_path / "out" / "photo.txt").unlink()
    assert predict.main(line(*paths, *words, "--skip_done")) == 0
    assert (tmp_path / "out" / "photo.txt").is_file()
    assert len(table.read_text().splitlines()) == 3, "the line of the other image stays"


def test_ones_own_annotations_are_not_written_over(tmp_path: Path, line, capsys) -> None:
    georeferenced(tmp_path / "ortho.tif")
    (tmp_path / "out").mkdir()
    shutil.copy(tmp_path / "ortho.tif", tmp_path / "out" / "a.bmp.tif")
    Image.new("RGB", (20, 20)).save(tmp_path / "out" / "photo.bmp")
    (tmp_path / "out" / "photo.json").write_text("{}")
    said = fails(line(tmp_path / "out" / "photo.bmp", "--format", "labelme"), capsys)
    assert "may be an annotation of yours" in said
    assert (tmp_path / "out" / "photo.json").read_text() == "{}"


def test_rasterio_agrees_on_the_place(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = georeferenced(tmp_path / "a.tif")
    place = read_georeference(path)
    assert place is not None
    with rasterio.open(path) as raster:
        assert raster.crs.to_epsg() == place.epsg
        for x, y in ((0, 0), (3, 7)):
            assert tuple(place.at(np.array([[x, y]]))[0]) == raster.transform @ (x, y)


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
