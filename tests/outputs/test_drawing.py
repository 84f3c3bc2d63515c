"""Index images and overlays."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.outputs.drawing import index_image, overlay
from prompttune.prompts.palette import Palette
from prompttune.utils.contact_sheet import write_png


def test_overlay_is_thin_lines_and_half_transparent_color() -> None:
    image = np.full((9, 9, 3), 100, np.uint8)
    class_map = np.zeros((9, 9), np.uint8)
    class_map[2:7, 2:7] = 1
    palette = Palette(("part", "other"), ((255, 0, 0), (0, 255, 0)))
    drawn = np.asarray(overlay(image, class_map, palette))
    assert (drawn[class_map == 0] == 100).all()
    inner = np.zeros((9, 9), bool)
    inner[3:6, 3:6] = True
    assert (drawn[(class_map == 1) & ~inner] == (255, 0, 0)).all()
    assert (drawn[inner] == np.round(100 + 0.45 * (np.array([255, 0, 0]) - 100))).all()


def test_a_single_white_class_is_shown_in_a_color() -> None:
    drawn = overlay(
        np.full((3, 3, 3), 255, np.uint8), np.ones((3, 3), np.uint8), Palette.of(["road"])
    )
    assert (np.ptp(np.asarray(drawn), axis=2) > 50).all()


def test_index_images_keep_every_index(tmp_path: Path) -> None:
    palette = Palette.of(map(str, range(254)))
    class_map = np.arange(255, dtype=np.uint8).reshape(15, 17)
    write_png(tmp_path / "all.png", index_image(class_map, palette))
    with Image.open(tmp_path / "all.png") as image:
        assert np.array_equal(np.asarray(image), class_map)
        assert image.getpalette()[3:6] == [255, 255, 255]
