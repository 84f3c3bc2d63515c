"""What mask files store: indices, levels, 16 bits, fractions."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from mask_images import INDICES, SHAPES, palette_image
from PIL import Image

from prompttune.data.mask_forms import AUTO, MaskOptions, read_stored, stored_of_array
from prompttune.data.reading import read_mask
from prompttune.utils.errors import InputError


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
    cv2.imwrite(str(tmp_path / "gray.png"), stored)
    cv2.imwrite(str(tmp_path / "rgb.png"), np.dstack([stored] * 3))
    for name in ("gray.png", "rgb.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 3), INDICES)


def test_16_bit_anti_aliased_mask(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 216).astype(np.uint16).reshape(12, 18)
    cv2.imwrite(str(tmp_path / "mask.png"), ramp)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), ramp > 32767)


def test_pgm_keeps_indices_whatever_its_largest_value(tmp_path: Path) -> None:
    (tmp_path / "mask.pgm").write_bytes(b"P5\n18 12\n3\n" + INDICES.tobytes())
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.pgm", 3), INDICES)


def test_rgb_masks_with_equal_channels_are_gray(tmp_path: Path) -> None:
    gray = SHAPES * np.uint8(255)
    Image.fromarray(np.dstack([gray] * 3)).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([gray, gray, gray, 255 - gray])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([gray, 255 - gray]), "LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "rgb.png", 1), SHAPES)
    for name in ("rgba.png", "la.png"):
        with pytest.raises(InputError, match="which is the object"):
            read_mask(tmp_path / name, 1)
        as_gray = read_mask(tmp_path / name, 1, options=MaskOptions("gray"))
        np.testing.assert_array_equal(as_gray, SHAPES)


def test_masks_of_fractions_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", SHAPES.astype(np.float32) * 0.7)
    with pytest.raises(InputError, match="float32"):
        read_mask(tmp_path / "mask.tif", 1)


@pytest.mark.parametrize("white", [1, 255])
def test_floats_of_whole_numbers_are_indices(tmp_path: Path, white: int) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", SHAPES.astype(np.float32) * white)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", 1), SHAPES)


def test_exif_does_not_turn_masks(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(SHAPES * np.uint8(255)).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), SHAPES)


def with_palette(path: Path, indices: np.ndarray, *colors: tuple[int, int, int]) -> Path:
    image = Image.fromarray(indices, "P")
    image.putpalette([value for color in colors for value in color])
    image.save(path)
    return path


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_palettes_of_grays(tmp_path: Path) -> None:
    """One file alone must mean what it means beside the others of its set."""
    black, gray, white = ((value,) * 3 for value in (0, 128, 255))
    path = tmp_path / "a.png"
    classes = np.arange(3, dtype=np.uint8).repeat(4).reshape(3, 4)
    last = np.array([[0, 2], [2, 0]], np.uint8)
    for indices in (classes, last):  # the second shows no gray, and its white is the second class
        stored = read_stored(with_palette(path, indices, black, gray, white), AUTO)
        np.testing.assert_array_equal(stored.values, indices)
    shuffled = np.array([1, 2, 0], np.uint8)  # of a palette white, black, gray
    for indices in (classes, last):
        stored = read_stored(with_palette(path, shuffled[indices], white, black, gray), AUTO)
        np.testing.assert_array_equal(stored.values, np.array([0, 128, 255], np.uint8)[indices])
    near = with_palette(path, 1 - (classes > 1).astype(np.uint8), (254,) * 3, (1,) * 3)
    np.testing.assert_array_equal(read_stored(near, AUTO).values, classes > 1)


def test_gray_is_taken_as_the_first_version_spelled_it() -> None:
    assert MaskOptions("grey") == MaskOptions("gray")


@pytest.mark.parametrize("planes", [2, 3, 4, 6])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_a_plane_for_each_class_is_refused(planes: int, dtype: type) -> None:
    numbers = np.stack([plane == INDICES for plane in range(planes)], 2).astype(dtype)
    with pytest.raises(InputError, match=f"a.tif: mask has {planes} planes of 0 and 1"):
        stored_of_array(numbers, AUTO, "a.tif")
