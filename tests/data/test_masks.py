"""Mask files of every kind become class maps, and what is ambiguous is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.masks import MaskOptions
from prompttune.data.reading import (
    class_map_from_pil,
    class_map_from_values,
    read_field_of_view,
    read_mask,
)
from prompttune.utils.errors import InputError

SHAPES = np.random.default_rng(0).integers(0, 2, (12, 18), dtype=np.uint8)
INDICES = np.random.default_rng(1).integers(0, 4, (12, 18), dtype=np.uint8)


def palette_image(indices: np.ndarray) -> Image.Image:
    """Return a mode P image whose palette greys would be read if its indices were not."""
    image = Image.fromarray(indices, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 200, 200, 0, 128, 64, 0] + [7] * 753)
    return image


@pytest.mark.parametrize("suffix", ["png", "gif", "tif"])
def test_palette_masks_are_indices(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mask.{suffix}"
    palette_image(SHAPES).save(path)
    np.testing.assert_array_equal(read_mask(path, 1), SHAPES)
    palette_image(INDICES).save(path)
    np.testing.assert_array_equal(read_mask(path, 3), INDICES)


def test_palette_indices_are_never_anti_aliased(tmp_path: Path) -> None:
    palette_image((SHAPES * 200 + INDICES).astype(np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="values"):
        read_mask(tmp_path / "mask.png", 1)


def test_bilevel_masks_are_indices(tmp_path: Path) -> None:
    Image.fromarray(SHAPES > 0).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), SHAPES)
    Image.fromarray(SHAPES > 0).save(tmp_path / "mask.pbm")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.pbm", 1), SHAPES)


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp", "pgm"])
def test_two_valued_grey_masks(tmp_path: Path, suffix: str, white: int) -> None:
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
    unlabelled = class_map_from_values(np.array([[0, 1, 11]], np.uint8), 1, {0: 0, 1: 1, 11: 255})
    np.testing.assert_array_equal(unlabelled, [[0, 1, 255]])


def test_values_that_the_mapping_leaves_out_are_refused() -> None:
    stored = np.array([[0, 2, 1]], np.uint8)
    with pytest.raises(InputError, match="so 1 means nothing"):
        class_map_from_values(stored, 18, {0: 0, 2: 1})
    with pytest.raises(InputError, match="255"):
        class_map_from_values(np.array([[0, 1, 255]], np.uint8), 1, {0: 0, 1: 1})


def test_mapping_to_a_class_that_is_not_there() -> None:
    with pytest.raises(InputError, match="maps 1 to 3"):
        class_map_from_values(SHAPES, 2, {0: 0, 1: 3})


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_16_bit_masks(tmp_path: Path, white: int) -> None:
    stored = SHAPES.astype(np.uint16) * white
    cv2.imwrite(str(tmp_path / "mask.png"), stored)
    tifffile.imwrite(tmp_path / "mask.tif", stored)
    (tmp_path / "mask.pgm").write_bytes(b"P5\n18 12\n65535\n" + stored.astype(">u2").tobytes())
    for name in ("mask.png", "mask.tif", "mask.pgm"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 1), SHAPES)


def test_16_bit_masks_of_several_classes_keep_their_low_byte(tmp_path: Path) -> None:
    stored = INDICES.astype(np.uint16)
    cv2.imwrite(str(tmp_path / "grey.png"), stored)
    cv2.imwrite(str(tmp_path / "rgb.png"), np.dstack([stored] * 3))
    for name in ("grey.png", "rgb.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 3), INDICES)


def test_16_bit_anti_aliased_mask(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 216).astype(np.uint16).reshape(12, 18)
    cv2.imwrite(str(tmp_path / "mask.png"), ramp)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), ramp > 32767)


def test_pgm_keeps_indices_whatever_its_largest_value(tmp_path: Path) -> None:
    (tmp_path / "mask.pgm").write_bytes(b"P5\n18 12\n3\n" + INDICES.tobytes())
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.pgm", 3), INDICES)


def test_rgb_masks_with_equal_channels_are_grey(tmp_path: Path) -> None:
    grey = SHAPES * np.uint8(255)
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([grey, grey, grey, 255 - grey])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([grey, 255 - grey]), "LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "rgb.png", 1), SHAPES)
    for name in ("rgba.png", "la.png"):
        with pytest.raises(InputError, match="which is the object"):
            read_mask(tmp_path / name, 1)
        as_grey = read_mask(tmp_path / name, 1, options=MaskOptions("grey"))
        np.testing.assert_array_equal(as_grey, SHAPES)


def test_coloured_masks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([SHAPES, SHAPES, 1 - SHAPES])).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png: mask is coloured"):
        read_mask(tmp_path / "mask.png", 1)


def test_masks_of_fractions_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", SHAPES.astype(np.float32) * 0.7)
    with pytest.raises(InputError, match="float32"):
        read_mask(tmp_path / "mask.tif", 1)


@pytest.mark.parametrize("white", [1, 255])
def test_floats_of_whole_numbers_are_indices(tmp_path: Path, white: int) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", SHAPES.astype(np.float32) * white)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", 1), SHAPES)


def test_of_a_palette_255_is_void(tmp_path: Path) -> None:
    values = np.array([[0, 1, 255], [0, 1, 0]], np.uint8)
    image = Image.fromarray(values)
    image.putpalette([0, 0, 0, 128, 0, 0] + 254 * [224, 224, 192])
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), values)


def test_exif_does_not_turn_masks(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(SHAPES * np.uint8(255)).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), SHAPES)


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
