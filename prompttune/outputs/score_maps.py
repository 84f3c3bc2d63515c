"""Scores of every class as float TIFF or NPZ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from prompttune.geo.georeference import Georeference
from prompttune.utils.io import whole_file


def write_score_tiff(path: Path, scores: np.ndarray, place: Georeference | None) -> None:
    """Write scores `C x H x W float32` in [0, 1] as a TIFF, a band a class, placed on the map."""
    tags = () if place is None else place.tags
    several: dict[str, Any] = {"planarconfig": "separate"} if len(scores) > 1 else {}
    with whole_file(path) as file:
        tifffile.imwrite(
            file, scores if several else scores[0], photometric="minisblack", compression="zlib",
            metadata=None, extratags=tags, **several,
        )  # fmt: skip


def write_score_npz(path: Path, scores: np.ndarray, classes: Sequence[str]) -> None:
    """Write `scores`, `C x H x W float32` in [0, 1], and the names `classes` as NPZ."""
    with whole_file(path) as file:
        np.savez_compressed(file, scores=scores, classes=np.array(list(classes)))
