"""HEIC, the photos of phones."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.reading import read_image
from prompttune.utils.errors import InputError

PIXELS = np.zeros((48, 64, 3), np.uint8)
PIXELS[:, :32], PIXELS[:, 32:] = (200, 50, 20), (20, 50, 200)


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(PIXELS).save(tmp_path / "a.heic", quality=95)
    assert np.abs(read_image(tmp_path / "a.heic").astype(int) - PIXELS)[8:-8, 8:24].max() < 12


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"any" * 20)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"pip install prompttune\[photos\]"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("a.nii", "nibabel", "medical"), ("a.dcm", "pydicom", "medical")],
)
def test_the_extra_of_volumes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(b"any" * 200)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install prompttune\[{extra}\]"):
        read_image(tmp_path / name)
