"""Expected calibration error (Guo et al., ICML 2017, arXiv 1706.04599)."""

import math

import numpy as np

BINS = 15


class CalibrationError:
    """Gathers pixels image by image; `value` is the error over all of them."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS)
        self._confidence = np.zeros(BINS)
        self._right = np.zeros(BINS)

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Take pixels in.

        Args:
            confidence: M values in [0, 1]: how sure the answer is of each pixel's class.
            right: M values, bool: whether that class is right.
        """
        place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
        self._counts += np.bincount(place, minlength=BINS)
        self._confidence += np.bincount(place, confidence, minlength=BINS)
        self._right += np.bincount(place, right, minlength=BINS)

    @property
    def value(self) -> float:
        """The mean of |confidence - share that is right| over bins, weighted by their pixels.

        NaN where no pixel was taken in.
        """
        total = self._counts.sum()
        return float(np.abs(self._confidence - self._right).sum() / total) if total else math.nan


def raw_confidence(scores: np.ndarray, class_map: np.ndarray) -> np.ndarray:
    """Return what uncalibrated scores claim: the score of the class, or what all classes leave.

    Args:
        scores: `C x H x W` in [0, 1].
        class_map: `H x W uint8`, what was decided.

    Returns:
        `H x W float32` in [0, 1].
    """
    planes = np.concatenate([1 - scores.sum(0, keepdims=True), scores])
    index = class_map.astype(np.int64)[None]
    return np.take_along_axis(planes, index, 0)[0].clip(0, 1).astype(np.float32)
