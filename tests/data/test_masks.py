"""Mask files of every kind become class maps, and what is ambiguous is refused."""

from pathlib import Path

import numpy as np
import pytest
from mask_images import INDICES, SHAPES, palette_image
from PIL import Image

from prompttune.data.reading import (
    class_map_from_pil,
    class_map_from_values,
    read_field_of_view,
    read_mask,
)
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp", "pgm"])
def test_two_valued_gray_masks(tmp_path: Path, suffix: str, white: int) -> None:
    path = tmp_path / f"mask.{suffix}"
    Image.fromarray(SHAPES * np.uint8(white)).save(path)
    class_map = read_mask(path, 1)
    assert class_map.dtype == np.uint8
    np.testing.assert_array_equal(class_map, SHAPES)


def test_masks_of_one_value() -> None:
    for value, index in ((0, 0), (1, 1), (255, 1)):
        full = np.full((3, 3), value, np.uint8)
        np.testing.assert_array_equal(class_map_from_values(full, 1), np.full((3, 3), index))


def test_anti_aliased_masks_are_cut_above_127() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(class_map_from_values(ramp, 1), ramp > 127)
    few = np.array([[0, 127, 128, 255]], np.uint8)
    np.testing.assert_array_equal(class_map_from_values(few, 1), [[0, 0, 1, 1]])


@pytest.mark.parametrize("values", [(0, 1, 255), (0, 1, 2), (0, 2, 3, 19), (0, 1, 2, 255)])
def test_what_may_be_an_index_map_is_not_taken_for_anti_aliased(values: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=f"values {', '.join(map(str, values))}"):
        class_map_from_values(np.array([values], np.uint8), 1)


@pytest.mark.parametrize("value", [2, 128, 200, 254])
def test_two_values_that_name_no_class(tmp_path: Path, value: int) -> None:
    path = tmp_path / "strange.png"
    Image.fromarray(SHAPES * np.uint8(value)).save(path)
    with pytest.raises(InputError) as refused:
        read_mask(path, 1)
    line = str(refused.value)
    assert str(path) in line
    assert f"values 0, {value}" in line
    assert "1 class is" in line
    assert "\n" not in line


def test_several_classes_are_indices_and_255_is_ignored() -> None:
    stored = INDICES.copy()
    stored[0] = 255
    np.testing.assert_array_equal(class_map_from_values(stored, 3), stored)
    with pytest.raises(InputError, match=r"2 classes are 0 \(background\) to 2, so 3 means"):
        class_map_from_values(stored, 2)


def test_values_map_to_classes() -> None:
    stored = np.array([[0, 255], [255, 0]], np.uint8)
    inverted = class_map_from_values(stored, 1, {0: 1, 255: 0})
    np.testing.assert_array_equal(inverted, [[1, 0], [0, 1]])
    parts = np.array([[0, 2, 19, 255]], np.uint8)
    shifted = class_map_from_values(parts, 18, {0: 0, **{i: i - 1 for i in range(2, 20)}})
    np.testing.assert_array_equal(shifted, [[0, 1, 18, 255]])
    unlabeled = class_map_from_values(np.array([[0, 1, 11]], np.uint8), 1, {0: 0, 1: 1, 11: 255})
    np.testing.assert_array_equal(unlabeled, [[0, 1, 255]])


def test_values_that_the_mapping_leaves_out_are_refused() -> None:
    stored = np.array([[0, 2, 1]], np.uint8)
    with pytest.raises(InputError, match="so 1 means nothing"):
        class_map_from_values(stored, 18, {0: 0, 2: 1})
    with pytest.raises(InputError, match="255"):
        class_map_from_values(np.array([[0, 1, 255]], np.uint8), 1, {0: 0, 1: 1})


def test_mapping_to_a_class_that_is_not_there() -> None:
    with pytest.raises(InputError, match="maps 1 to 3"):
        class_map_from_values(SHAPES, 2, {0: 0, 1: 3})


def test_colored_masks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([SHAPES, SHAPES, 1 - SHAPES])).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png: mask is colored"):
        read_mask(tmp_path / "mask.png", 1)


def test_of_a_palette_255_is_void(tmp_path: Path) -> None:
    values = np.array([[0, 1, 255], [0, 1, 0]], np.uint8)
    image = Image.fromarray(values)
    image.putpalette([0, 0, 0, 128, 0, 0] + 254 * [224, 224, 192])
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), values)


def test_pillow_masks_follow_the_same_rules() -> None:
    np.testing.assert_array_equal(class_map_from_pil(palette_image(INDICES), 3), INDICES)
    np.testing.assert_array_equal(class_map_from_pil(Image.fromarray(SHAPES > 0), 1), SHAPES)
    white = Image.fromarray(SHAPES * np.uint8(255))
    np.testing.assert_array_equal(class_map_from_pil(white, 1), SHAPES)


def test_field_of_view(tmp_path: Path) -> None:
    Image.fromarray(SHAPES * np.uint8(255)).save(tmp_path / "fov.gif")
    field_of_view = read_field_of_view(tmp_path / "fov.gif")
    assert field_of_view.dtype == bool
    np.testing.assert_array_equal(field_of_view, SHAPES > 0)


@pytest.mark.parametrize("reader", [lambda path: read_mask(path, 1), read_field_of_view])
def test_unreadable_masks_are_refused(tmp_path: Path, reader) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("text")
    for name in ("empty.png", "text.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            reader(tmp_path / name)
