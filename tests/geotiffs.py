"""What tests of GeoTIFF share: small files with a place on earth, and a command line."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
TAGS = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 400000.0, 5800000.0, 0.0), True),
    (34735, "H", 16, KEYS, True),
    (34737, "s", 8, "WGS 84|", True),
]
PIXELS = np.random.default_rng(0).integers(1, 256, (20, 24, 3), dtype=np.uint8)


def georeferenced(path: Path, pixels: np.ndarray = PIXELS, nodata: str | None = None) -> Path:
    tags = list(TAGS)
    if nodata is not None:
        tags.append((42113, "s", len(nodata) + 1, nodata, True))
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=tags, metadata=None)
    return path


@pytest.fixture
def line(tmp_path: Path, backbone: Path):
    """Return a function that makes a command line with an example."""
    Image.fromarray(PIXELS[:20, :20]).save(tmp_path / "eye.png")
    mask = np.tile(np.array([0, 255], np.uint8), (20, 10))
    Image.fromarray(mask).save(tmp_path / "mask.png")

    def made(*more: object) -> list[str]:
        example = ("--example", tmp_path / "eye.png", tmp_path / "mask.png")
        places = ("--output", tmp_path / "out", "--backbone", backbone)
        return [str(each) for each in (*more, *example, *places)]

    return made
