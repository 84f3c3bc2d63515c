"""The colors of palettes say what indices mean where these are in any order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prompttune.data.mask_facts import look_at
from prompttune.data.mask_forms import AUTO, MaskOptions, read_stored
from prompttune.data.mask_survey import settle
from prompttune.data.masks import class_map_of
from prompttune.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
K, W, R, G, B = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)
THING = np.zeros((40, 60), np.uint8)
THING[10:20, 15:30] = 1
TWO = THING.copy()
TWO[25:35, 40:55] = 2


def save(path: Path, classes: np.ndarray, order: list[int], *colors: tuple, **info: Any) -> Path:
    image = Image.fromarray(np.array(order, np.uint8)[classes], "P")
    image.putpalette([value for color in colors for value in color])
    image.save(path, **info)
    return path


def read(paths: list[Path], classes: int = 1, options: MaskOptions = AUTO) -> list[np.ndarray]:
    stored = [read_stored(path, options) for path in paths]
    facts = [look_at(each, path) for each, path in zip(stored, paths, strict=True)]
    meaning = settle(facts, classes, options)
    return [
        class_map_of(each, classes, meaning, path) for each, path in zip(stored, paths, strict=True)
    ]


@pytest.mark.parametrize("suffix", ["png", "gif", "tif"])
@pytest.mark.parametrize(
    ("order", "colors"),
    [
        ([1, 0], (R, K)),
        ([2, 0], (R, G, K)),
        ([0, 1], (K, R)),
        ([0, 1], (W, R)),
    ],
)
def test_black_is_the_background(
    tmp_path: Path, suffix: str, order: list[int], colors: tuple
) -> None:
    path = save(tmp_path / f"a.{suffix}", THING, order, *colors)
    empty = save(tmp_path / f"b.{suffix}", 0 * THING, order, *colors)
    for found, expected in zip(read([path, empty]), (THING, 0 * THING), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("order", "colors", "says"),
    [
        ([2, 0, 1], (R, G, K), r"black.*is index 2.*--colors A=#ff0000,B=#00ff00, .*index"),
        ([1, 0, 2], (R, K, B), r"black.*is index 1.*--colors A=#ff0000,B=#0000ff, "),
        ([2, 0, 1], (R, G, W), r"most is white.*--colors A=#ff0000,B=#00ff00,background=#ffffff"),
    ],
)
def test_several_colors_are_asked_about(
    tmp_path: Path, order: list[int], colors: tuple, says: str
) -> None:
    path = save(tmp_path / "a.png", TWO, order, *colors)
    with pytest.raises(InputError, match=says):
        read([path], 2)
    index = read([path], 2, MaskOptions("index"))
    np.testing.assert_array_equal(index[0], np.array(order)[TWO])
    named = {sum(v << s for v, s in zip(c, (16, 8, 0), strict=True)): i for i, c in zip(
        (order.index(n) for n in range(3)), colors, strict=True)}  # fmt: skip
    np.testing.assert_array_equal(read([path], 2, MaskOptions(colors=named))[0], TWO)


def test_one_color_on_black_in_any_order(tmp_path: Path) -> None:
    near = (3, 0, 2)
    paths = [
        save(tmp_path / "a.gif", THING, [0, 1], K, R),
        save(tmp_path / "b.gif", THING, [1, 0], R, K),
        save(tmp_path / "c.png", THING, [1, 0], R, near),
    ]
    for found in read(paths):
        np.testing.assert_array_equal(found, THING)


@pytest.mark.parametrize(("order", "colors"), [([0, 1], (W, K)), ([1, 0], (K, W))])
def test_black_on_white_is_asked_about(tmp_path: Path, order: list[int], colors: tuple) -> None:
    path = save(tmp_path / "a.png", THING, order, *colors)
    with pytest.raises(InputError, match=r"--mask_kind gray if white.*background=#ffffff if black"):
        read([path])
    np.testing.assert_array_equal(read([path], 1, MaskOptions("gray"))[0], 1 - THING)
    named = MaskOptions(colors={0: 1, 0xFFFFFF: 0})
    np.testing.assert_array_equal(read([path], 1, named)[0], THING)


def test_white_ground_of_one_color_is_asked_about(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", THING, [1, 0], R, W)
    with pytest.raises(
        InputError, match=r"--colors A=#ff0000,background=#ffffff, or give --mask_k"
    ):
        read([path])
    other = save(tmp_path / "b.png", THING, [1, 0], B, (255, 255, 0))
    with pytest.raises(InputError, match=r"index 1 covers 94 %.*--mask_values '\{0: 1, 1: 0\}'"):
        read([other])


def test_palettes_in_other_orders_are_asked_about(tmp_path: Path) -> None:
    one = save(tmp_path / "a.png", TWO, [0, 1, 2], K, R, G)
    other = save(tmp_path / "b.png", TWO, [0, 2, 1], K, G, R)
    with pytest.raises(InputError, match=r"b.png: in its palette #00ff00 is index 1, in that of"):
        read([one, other], 2)
    read([one, one], 2)


@pytest.mark.parametrize("hidden", [0, 1])
def test_what_is_transparent_is_the_background(tmp_path: Path, hidden: int) -> None:
    path = save(tmp_path / "a.png", THING, [hidden, 1 - hidden], R, G, transparency=hidden)
    np.testing.assert_array_equal(read([path])[0], THING)
    empty = save(tmp_path / "b.png", 0 * THING, [hidden], R, G, transparency=hidden)
    assert not read([path, empty])[1].any()
