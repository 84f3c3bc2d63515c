"""A second human's masks, where a data set has them: how well people agree."""

from pathlib import Path

import numpy as np

from prompttune.data.layouts import SUFFIXES
from prompttune.data.reading import read_mask
from prompttune.utils.errors import InputError

FOLDER = "masks_2nd"
"""Beside `images/` and `masks/` of the test part."""


def second_masks(images: Path) -> dict[str, Path]:
    """Find the second masks for a folder of images, by stem; none if there is no such folder."""
    folder = images.parent / FOLDER
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}


def observed_scores(path: Path, classes: int, shape: tuple[int, int]) -> np.ndarray:
    """Read a second mask as scores of 0 and 1, `C x H x W float32`.

    Args:
        path: of the mask.
        classes: C.
        shape: H and W of its image.

    Raises:
        InputError: a mask that cannot be read, or of another size.
    """
    class_map = read_mask(path, classes)
    if class_map.shape != shape:
        sizes = [f"{width} x {height}" for height, width in (class_map.shape, shape)]
        raise InputError(f"{path}: is {sizes[0]}, its image {sizes[1]}; make both the same size")
    return np.stack([class_map == index for index in range(1, classes + 1)]).astype(np.float32)
