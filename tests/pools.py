"""A pool of one small set."""

from pathlib import Path

import cv2
import numpy as np
import pytest


def write_set(folder: Path, names: tuple[str, ...], masks: bool = True) -> None:
    """Images whose left half is bright; masks 0, 1 and 11 in a strip."""
    rng = np.random.default_rng(0)
    for name in names:
        classes = np.zeros((40, 60), np.uint8)
        classes[5:, :30], classes[:5] = 1, 11
        image = rng.integers(0, 60, (40, 60, 3)).astype(np.uint8)
        image[:, :30] += 150
        for part, values in (("images", image), ("masks", classes)):
            if part == "images" or masks:
                path = folder / part / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), values)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", ("a", "b", "c"))
    return tmp_path
