"""Which way up a picture was taken, beside Pillow's own turning."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from prompttune.data.orientation import (
    ORIENTATION,
    orientation_in_header,
    orientation_of,
    upright,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_them(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        assert orientation_in_header(tmp_path / "a.png", image) == orientation
        assert orientation_of(image) == orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
    turned = upright(PIXELS, orientation)
    assert np.array_equal(turned, expected)
    assert turned.flags.c_contiguous


def test_a_tag_behind_the_pixels_is_found_without_decoding_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path, exif=exif)
    raw, chunks, at = path.read_bytes(), [], 8
    while at < len(raw):
        end = at + 12 + int.from_bytes(raw[at : at + 4])
        chunks.append(raw[at:end])
        at = end
    chunks.sort(key=lambda chunk: (chunk[4:8] == b"IEND", chunk[4:8] == b"eXIf"))
    path.write_bytes(raw[:8] + b"".join(chunks))
    with Image.open(path) as image:
        assert orientation_in_header(path, image) == 6


def test_pictures_without_a_tag_are_upright(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.fromarray(PIXELS).save(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert orientation_in_header(tmp_path / name, image) == 1
