"""Pages of a TIFF: all of them, with the palette's colors, or no file."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from prompttune.outputs.rasters import PageWriter
from prompttune.prompts.palette import Palette

PALETTE = Palette(("a", "b"), ((255, 255, 255), (255, 0, 17)))


def test_class_maps_keep_their_indices_and_bear_colors(tmp_path: Path) -> None:
    pages = [np.full((5, 7), number, np.uint8) for number in (0, 2)]
    writer = PageWriter(tmp_path / "a.tif", PALETTE)
    for page in pages:
        writer.add(page)
        assert not (tmp_path / "a.tif").exists()
    writer.finish()
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), np.stack(pages))
    with Image.open(tmp_path / "a.tif") as image:
        image.seek(1)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 17)


def test_pictures_are_rgb(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    writer = PageWriter(tmp_path / "a.tif", None)
    writer.add(picture)
    writer.finish()
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), picture)


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    writer = PageWriter(tmp_path / "a.tif", PALETTE)
    writer.add(np.zeros((5, 7), np.uint8))
    writer.discard()
    assert not list(tmp_path.iterdir())
