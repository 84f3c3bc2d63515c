"""Nothing is decoded twice, from the first look at a folder to the last picture of a report."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from predicting import backbone as backbone

from prompttune.cli import predict, tune
from prompttune.data.decoding import header
from prompttune.data.mask_forms import read_stored


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count by name how often Pillow decodes a file's pixels."""
    counts: Counter[str] = Counter()
    load = ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> object:
        if self.tile:  # what is left to be decoded
            path = Path(getattr(self.fp, "name", "") or self.filename)
            counts[f"{path.parent.name}/{path.name}"] += 1
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    return counts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((40, 40), np.uint8)
        mask[5:25, number : number + 20] = 255
        image = rng.integers(0, 100, (40, 40, 3), np.uint8) + mask[..., None] // 2
        for part, pixels in (("images", image), ("masks", mask)):
            suffix = "jpg" if part == "images" and number % 2 else "png"
            path = tmp_path / "set" / part / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "set"


def test_predict(folder: Path, backbone: Path, tmp_path: Path, decoded: Counter[str]) -> None:
    images = sorted(map(str, (folder / "images").iterdir()))
    example = [images[0], str(folder / "masks" / "0.png")]
    line = ["--example", *example, "--scale", "1", *images[1:], "--output", str(tmp_path / "out")]
    assert predict.main([*line, "--backbone", str(backbone)]) == 0
    assert len(decoded) == 7
    assert set(decoded.values()) == {1}, decoded


def test_tune(folder: Path, backbone: Path, tmp_path: Path, decoded: Counter[str]) -> None:
    line = [
        "--task", "custom", "--data", str(folder), "--backbone", str(backbone), "--max_steps", "2",
        "--val_every", "1", "--val_crops", "2", "--batch", "2", "--prompts_zoo",
        str(tmp_path / "zoo"), "--output", str(tmp_path / "run"), "--name", "mine",
    ]  # fmt: skip
    assert tune.main(line) == 0
    assert len(decoded) == 12  # 6 images and their masks
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
