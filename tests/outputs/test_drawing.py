"""Index images and overlays."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.samples import LoadedSample
from prompttune.outputs.drawing import (
    COLUMNS,
    GAP,
    SIDE,
    WHITE_SHOWN_AS,
    index_image,
    overlay,
    write_sheet,
)
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


def sample(name: str) -> LoadedSample:
    class_map = np.zeros((40, 60), np.uint8)
    class_map[:20], class_map[30:] = 1, 255
    return LoadedSample(name, np.full((40, 60, 3), 90, np.uint8), class_map)


def test_images_stand_beside_their_masks(tmp_path: Path) -> None:
    write_sheet(tmp_path / "new" / "a.png", [sample("a"), sample("b" * 90)], ["crack"])
    with Image.open(tmp_path / "new" / "a.png") as opened:
        sheet = np.asarray(opened)
    assert sheet.shape[1] == 2 * (2 * SIDE + GAP) + 3 * GAP
    colors = {tuple(color) for color in np.unique(sheet.reshape(-1, 3), axis=0).tolist()}
    assert {(90, 90, 90), (128, 128, 128), WHITE_SHOWN_AS, (255, 255, 255)} <= colors
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_rows_are_as_long_as_said(tmp_path: Path) -> None:
    sizes = []
    for count in (COLUMNS, COLUMNS + 1):
        write_sheet(tmp_path / "a.png", [sample(str(n)) for n in range(count)], ["a", "b"])
        with Image.open(tmp_path / "a.png") as opened:
            sizes.append(opened.size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > 1.7 * sizes[0][1]
