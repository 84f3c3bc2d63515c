"""Masks of COCO's annotations as COCO's own code rasterizes them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.data.annotations.outlines import OUTSIDE, decode_runs
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

LONGEST = 10_000_000
"""Pixels along a polygon's edges."""


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
        with understood(path, "COCO masks; get it again"):
            if isinstance(segmentation, dict):
                # The size is looked at first: whatever it says would be allocated.
                rows, columns = (int(side) for side in segmentation["size"])
                if (rows, columns) != (height, width):
                    told = f"mask of {columns} x {rows}, but its image is {width} x {height}"
                    raise InputError(f"{path}: {told}; are they of one set?")
                covered |= decode_runs(segmentation["counts"], (rows, columns))
            else:
                covered |= _filled(segmentation, height, width)
    return covered


def _filled(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Fill polygons by COCO's own rule, which is not that of pixel centers.

    COCO's code is C and checks nothing: it crashes on coordinates far outside, and needs memory for
    each fifth of a pixel along the edges.
    """
    beyond = OUTSIDE * max(height, width)
    for polygon in polygons:
        points = np.asarray(polygon, float)
        if points.ndim != 1 or len(points) < 4 or len(points) % 2:
            raise ValueError(f"a polygon of shape {points.shape}")
        x, y = points[::2], points[1::2]
        inside = (points >= -beyond).all() and (x <= width + beyond).all()
        if not inside or not (y <= height + beyond).all():
            raise ValueError(f"a polygon outside the {width} x {height} pixels of its image")
        if abs(x - np.roll(x, 1)).sum() + abs(y - np.roll(y, 1)).sum() > LONGEST:
            raise ValueError("a polygon far longer than an image could show")
    if not len(polygons):
        raise ValueError("no polygon")
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise InputError("this set needs pycocotools; pip install 'prompttune[coco]'") from None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2, in its compiled code
        flat = [np.asarray(each, float).tolist() for each in polygons]
        return coco.decode(coco.merge(coco.frPyObjects(flat, height, width))) > 0
