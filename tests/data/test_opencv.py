"""OpenCV sees whole files alone, so that it makes no room for what a few bytes claim."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from prompttune.data import opencv
from prompttune.data.opencv import decode_image


def encoded(kind: str, pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return np.frombuffer(file.getvalue(), np.uint8).copy()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 8), np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_whole_files_are_decoded(pixels: np.ndarray, kind: str) -> None:
    assert np.array_equal(decode_image(encoded(kind, pixels), cv2.IMREAD_UNCHANGED), pixels)


def test_a_chunk_longer_than_its_file_is_never_seen_by_opencv(
    pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encoded("PNG", pixels)
    at = bytes(file).index(b"IEND") - 4
    file[at : at + 4] = (0x40, 0, 0, 0)  # a gigabyte
    monkeypatch.setattr(opencv.cv2, "imdecode", lambda *_: pytest.fail("was asked"))
    assert decode_image(file, cv2.IMREAD_UNCHANGED) is None
    assert decode_image(file[:0], cv2.IMREAD_UNCHANGED) is None


def test_what_is_no_image_is_none() -> None:
    assert decode_image(np.arange(50, dtype=np.uint8), cv2.IMREAD_UNCHANGED) is None
