"""Masks of COCO's annotations as COCO's own code rasterizes them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.data.annotations.outlines import decode_runs
from prompttune.utils.errors import InputError


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
            if isinstance(segmentation, dict):
                mask = decode_runs(segmentation["counts"], segmentation["size"])
            else:
                mask = _filled(segmentation, height, width)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{path}: holds what is no COCO mask ({error})") from None
        if mask.shape != covered.shape:
            sizes = [f"{each[1]} x {each[0]}" for each in (mask.shape, covered.shape)]
            raise InputError(f"{path}: mask of {sizes[0]}, but its image is {sizes[1]}")
        covered |= mask
    return covered


def _filled(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """Fill polygons by COCO's own rule, which is not that of pixel centers."""
    try:
        from pycocotools import mask as coco
    except ImportError:
        raise InputError("this set needs pycocotools; pip install 'prompttune[coco]'") from None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2, in its compiled code
        return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))) > 0
