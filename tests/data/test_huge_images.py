"""Which images are read row by row, known by their headers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data import huge_images
from prompttune.data.huge_images import is_huge


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_images, "MAX_PIXELS", 6000)
    monkeypatch.setattr(huge_images, "MIN_BYTES", 10)


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (100, 60), **how: object) -> Path:
    Image.new(mode, size).save(path, **how)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG"])
def test_plain_ones_of_so_many_pixels(tmp_path: Path, mode: str, ending: str) -> None:
    assert is_huge(save(tmp_path / f"a{ending}", mode))
    assert not is_huge(save(tmp_path / f"b{ending}", mode, (100, 59)))


def test_others_are_left_to_be_refused(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((60, 100), np.uint16)).save(deep)
    others = [
        save(tmp_path / "palette.png", "P"), save(tmp_path / "alpha.png", "RGBA"), deep,
        save(tmp_path / "turned.jpg", exif=turned), save(tmp_path / "late.jpg", progressive=True),
        save(tmp_path / "a.bmp"), tmp_path / "missing.png",
    ]  # fmt: skip
    (tmp_path / "broken.png").write_text("no image at all")
    (tmp_path / "broken.jpg").write_text("no image at all")
    others += [tmp_path / "broken.png", tmp_path / "broken.jpg"]
    assert not [path.name for path in others if is_huge(path)]
