"""A place on earth survives: GeoTIFF tags, nodata, world files; pages of a stack too."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from geotiffs import PIXELS, TAGS, georeferenced
from geotiffs import line as line
from PIL import Image
from predicting import backbone as backbone
from predicting import fails

from prompttune.cli import predict
from prompttune.geo.georeference import Georeference, copy_world_file, read_georeference


def test_a_geotiff_is_answered_by_a_geotiff(tmp_path: Path, line) -> None:
    assert predict.main(line(georeferenced(tmp_path / "ortho.tif"))) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ortho.tif",
        "ortho_overlay.tif",
    ]
    for name in ("ortho.tif", "ortho_overlay.tif"):
        with tifffile.TiffFile(tmp_path / "out" / name) as file:
            tags = file.pages.first.tags
            for code, _, _, value, _ in TAGS:
                assert tags[code].value == value
            assert 42113 not in tags
    with Image.open(tmp_path / "out" / "ortho.tif") as mask:
        assert (mask.mode, mask.size) == ("P", (24, 20))
        assert set(np.unique(np.asarray(mask))) <= {0, 1}


def test_rasterio_agrees(tmp_path: Path, line) -> None:
    rasterio = pytest.importorskip("rasterio")
    assert predict.main(line(georeferenced(tmp_path / "ortho.tif", nodata="0"))) == 0
    with (
        rasterio.open(tmp_path / "ortho.tif") as before,
        rasterio.open(tmp_path / "out" / "ortho.tif") as after,
    ):
        assert after.crs == before.crs
        assert after.crs.to_epsg() == 32633
        assert after.transform == before.transform
        assert after.nodata == before.nodata == 0


@pytest.mark.parametrize(("nodata", "kept"), [("0", 0), ("255", 255), ("1", 255), ("-9999", 255)])
def test_pixels_without_data_stay_so(tmp_path: Path, line, nodata: str, kept: int) -> None:
    pixels = PIXELS.copy()
    pixels[:6] = max(0, int(nodata))
    assert predict.main(line(georeferenced(tmp_path / "a.tif", pixels, nodata))) == 0
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert file.pages.first.tags[42113].value == str(kept)
        mask = file.asarray()
    if nodata != "-9999":  # which 8 bits cannot hold
        assert (mask[:6] == kept).all()
    assert set(np.unique(mask)) <= {0, 1, kept}


def test_an_overview_is_no_second_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PIXELS, photometric="rgb", extratags=TAGS, metadata=None)
        file.write(PIXELS[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    found = read_georeference(tmp_path / "a.tif")
    assert found is not None
    assert [code for code, *_ in found.tags] == [33550, 33922, 34735, 34737]


def test_other_pictures_lie_nowhere(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb")
    (tmp_path / "b.tif").write_bytes(b"no picture")
    assert read_georeference(tmp_path / "a.tif") is None
    assert read_georeference(tmp_path / "b.tif") is None
    assert read_georeference(tmp_path / "c.png") is None
    assert Georeference(()).for_classes(3) == ((), None)


@pytest.mark.parametrize(
    ("image", "world"),
    [("a.jpg", "a.jgw"), ("a.png", "a.pgw"), ("a.tif", "a.tfw"), ("a.jpg", "a.wld")],
)
def test_a_world_file_goes_along(tmp_path: Path, line, image: str, world: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / image)
    (tmp_path / world).write_text("0.5\n0\n0\n-0.5\n400000.25\n5799999.75\n")
    (tmp_path / "a.prj").write_text("EPSG:32633")
    assert predict.main(line(tmp_path / image)) == 0
    assert (tmp_path / "out" / "a.pgw").read_text().startswith("0.5")
    assert (tmp_path / "out" / "a.prj").read_text() == "EPSG:32633"


def test_without_a_world_file_nothing_is_written(tmp_path: Path) -> None:
    copy_world_file(tmp_path / "a.jpg", tmp_path / "b.png")
    assert not list(tmp_path.iterdir())


STACK = np.random.default_rng(1).integers(0, 256, (6, 20, 24), dtype=np.uint8)


def test_a_stack_is_answered_by_a_stack(tmp_path: Path, line, capsys) -> None:
    tifffile.imwrite(tmp_path / "z.tif", STACK, photometric="minisblack")
    for page in range(6):
        Image.fromarray(STACK[page]).save(tmp_path / f"z{page}.png")
    assert predict.main(line(tmp_path / "z.tif", *sorted(tmp_path.glob("z?.png")))) == 0
    assert "7 images of 12 pages" in capsys.readouterr().out
    pages = tifffile.imread(tmp_path / "out" / "z.tif")
    assert pages.shape == (6, 20, 24)
    for page in range(6):
        with Image.open(tmp_path / "out" / f"z{page}.png") as alone:
            assert (np.asarray(alone) != pages[page]).mean() < 0.01
    assert tifffile.imread(tmp_path / "out" / "z_overlay.tif").shape == (6, 20, 24, 3)
    assert predict.main(line(tmp_path / "z.tif", "--skip_done")) == 0
    assert "done already" in capsys.readouterr().out


def test_other_pages_of_a_stack_are_not_done(tmp_path: Path, line, capsys) -> None:
    tifffile.imwrite(tmp_path / "z.tif", STACK, photometric="minisblack")
    mask = tmp_path / "out" / "z.tif"
    assert predict.main(line(tmp_path / "z.tif", "--pages", "1-2")) == 0
    first = tifffile.imread(mask)
    assert first.shape[0] == 2
    assert predict.main(line(tmp_path / "z.tif", "--pages", "1,2", "--skip_done")) == 0
    assert "done already" in capsys.readouterr().out
    assert predict.main(line(tmp_path / "z.tif", "--pages", "4-5", "--skip_done")) == 0
    assert "done already" not in capsys.readouterr().out
    others = tifffile.imread(mask)
    assert predict.main(line(tmp_path / "z.tif", "--skip_done")) == 0
    whole = tifffile.imread(mask)
    np.testing.assert_array_equal(whole[3:5], others)
    assert predict.main(line(tmp_path / "z.tif", "--pages", "1-6", "--skip_done")) == 0
    assert "done already" in capsys.readouterr().out


def test_objects_of_a_stack_bear_the_number_of_their_page(tmp_path: Path, line) -> None:
    tifffile.imwrite(tmp_path / "z.tif", STACK, photometric="minisblack")
    assert predict.main(line(tmp_path / "z.tif", "--instances", "--min_area", 1)) == 0
    content = json.loads((tmp_path / "out" / "z_instances.json").read_text())
    assert {each["image_id"] for each in content} <= {f"z#{page}" for page in range(1, 7)}


def test_of_a_stack_with_a_bad_page_nothing_is_left(tmp_path: Path, line, capsys) -> None:
    tifffile.imwrite(tmp_path / "z.tif", STACK, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "z.tif") as file:
        place = file.pages[4].dataoffsets[0]
    content = bytearray((tmp_path / "z.tif").read_bytes())
    content[place : place + 40] = b"\xff" * 40
    (tmp_path / "z.tif").write_bytes(content)
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    said = fails(line(tmp_path / "z.tif", tmp_path / "a.png"), capsys, code=1)
    assert "z.tif: is truncated or damaged" in said
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.png", "a_overlay.png"]
