"""Nothing is decoded twice, from the first look at a folder to the last picture of a report."""

import os
import zlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile
from predicting import backbone as backbone

from prompttune.cli import predict, tune
from prompttune.data.decoding import header
from prompttune.data.mask_forms import read_stored


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often Pillow, OpenCV, or tifffile decodes a file's pixels."""
    counts: Counter[str] = Counter()
    load = ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> object:
        if self.tile:  # what is left to be decoded
            counts[str(getattr(self.fp, "name", "") or self.filename)] += 1
        return load(self)

    decode, page_pixels = cv2.imdecode, tifffile.TiffPage.asarray

    def counted_decode(encoded: np.ndarray, flags: int) -> np.ndarray:
        counts[f"{zlib.crc32(encoded):08x}"] += 1
        return decode(encoded, flags)

    def counted_page(self: tifffile.TiffPage, *given: object, **named: object) -> np.ndarray:
        counts[self.parent.filehandle.path] += 1
        return page_pixels(self, *given, **named)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    monkeypatch.setattr(cv2, "imdecode", counted_decode)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", counted_page)
    return counts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images and masks; of the images two are of 16 bits, for OpenCV and for tifffile."""
    rng = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((40, 40), np.uint8)
        mask[5:25, number : number + 20] = 255
        image = rng.integers(0, 100, (40, 40, 3), np.uint8) + mask[..., None] // 2
        for part, pixels in (("images", image), ("masks", mask)):
            (tmp_path / "set" / part).mkdir(parents=True, exist_ok=True)
            path = tmp_path / "set" / part / f"{number}"
            if part == "images" and number == 2:
                assert cv2.imwrite(f"{path}.png", pixels.astype(np.uint16) * 256)
            elif part == "images" and number == 3:
                tifffile.imwrite(f"{path}.tif", pixels.astype(np.uint16) * 256)
            else:
                suffix = "jpg" if part == "images" and number % 2 else "png"
                Image.fromarray(pixels).save(f"{path}.{suffix}")
    return tmp_path / "set"


def test_predict(folder: Path, backbone: Path, tmp_path: Path, decoded: Counter[str]) -> None:
    images = sorted(map(str, (folder / "images").iterdir()))
    example = [images[0], str(folder / "masks" / "0.png")]
    line = ["--example", *example, "--scale", "1", *images[1:], "--output", str(tmp_path / "out")]
    assert predict.main([*line, "--backbone", str(backbone)]) == 0
    assert len(decoded) == 7 + 1  # Pillow sees if a PNG of 16 bits is whole, OpenCV decodes it
    assert set(decoded.values()) == {1}, decoded


def test_tune(folder: Path, backbone: Path, tmp_path: Path, decoded: Counter[str]) -> None:
    line = [
        "--task", "custom", "--data", str(folder), "--backbone", str(backbone), "--max_steps", "2",
        "--val_every", "1", "--val_crops", "2", "--batch", "2", "--prompts_zoo",
        str(tmp_path / "zoo"), "--output", str(tmp_path / "run"), "--name", "mine",
    ]  # fmt: skip
    assert tune.main(line) == 0
    assert len(decoded) == 12 + 1  # 6 images and their masks, one PNG of 16 bits by both
    assert set(decoded.values()) == {1}, decoded


def test_a_mask_that_changes_is_decoded_anew(tmp_path: Path, decoded: Counter[str]) -> None:
    path = tmp_path / "mask.png"
    for value in (1, 2):
        Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)
        os.utime(path, ns=(value, value))  # as on a disk whose clock is coarse
        for _ in range(2):
            assert (read_stored(path).values == value).all()
    assert decoded.total() == 2


def test_a_header_needs_no_pixels(tmp_path: Path, decoded: Counter[str]) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (7, 4)).save(tmp_path / name, exif=exif)
        assert header(tmp_path / name)[0] == (4, 7)
    assert not decoded
