"""Masks of COCO's annotations as COCO's own code rasterizes them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.data.annotations.outlines import decode_runs
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED

LONGEST = 10_000_000
"""Pixels along a polygon's edges; COCO's own code needs memory for every fifth of one."""


def union_of(segmentations: Sequence[Any], shape: Sequence[int], path: Path) -> np.ndarray:
    """Return what any of some segmentations covers, `H x W bool`.

    Args:
        segmentations: polygons as flat lists, or run lengths with their size.
        shape: of the image.
        path: of the file that holds them, for messages.

    Raises:
        InputError: no segmentation, or run lengths of another size; pycocotools is missing.
    """
    height, width = int(shape[0]), int(shape[1])
    covered = np.zeros((height, width), bool)
    for segmentation in segmentations:
        try:
            if not isinstance(segmentation, dict):
                covered |= _filled(segmentation, height, width)
                continue
            size = tuple(map(int, segmentation["size"]))
            if size == covered.shape:
                covered |= decode_runs(segmentation["counts"], size)
                continue
        except MALFORMED as error:
            raise InputError(f"{path}: holds what is no COCO mask ({error})") from None
        sizes = [" x ".join(map(str, each[::-1])) for each in (size, covered.shape)]
        raise InputError(f"{path}: mask of {sizes[0]}, but its image is {sizes[1]}")
    return covered


def _filled(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Fill polygons by COCO's own rule, which is not that of pixel centers."""
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise InputError("this set needs pycocotools; pip install 'prompttune[coco]'") from None

    outlines = [np.asarray(each, np.float64).reshape(-1, 2) for each in polygons]
    for points in outlines:
        length = abs(points - np.roll(points, 1, axis=0)).sum()
        if len(points) < 3 or not length <= LONGEST:  # NaN is not
            raise ValueError("a polygon of less than 3 points, or far larger than an image")
    if not outlines:
        return np.zeros((height, width), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2, in its compiled code
        flat = [points.ravel().tolist() for points in outlines]
        return coco.decode(coco.merge(coco.frPyObjects(flat, height, width))) > 0
