"""A rising curve from scores to probabilities: isotonic regression on a fixed grid of logits.

Isotonic regression (Zadrozny and Elkan, KDD 2002) takes no shape for granted; the grid makes the
curve a short list of numbers, which a key can keep.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

KNOTS = 33
FARTHEST = 8.0
"""The grid's ends, as logits: a score of 0.9997 and beyond is the last knot's."""


@dataclass(frozen=True)
class Curve:
    """A piecewise linear curve over the logit of a score."""

    values: tuple[float, ...]
    """Probabilities at `KNOTS` even logits from `-FARTHEST` to `FARTHEST`, never falling."""

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of scores in [0, 1], `float32` of the same shape."""
        place = (logits(scores) + FARTHEST) * ((KNOTS - 1) / (2 * FARTHEST))
        low = place.astype(np.int32).clip(0, KNOTS - 2)
        share = (place - low).clip(0, 1).astype(np.float32)
        table = np.array(self.values, np.float32)
        return table[low] * (1 - share) + table[low + 1] * share


class CurveFit:
    """Gathers scores and what was true, image by image, in bounded memory."""

    def __init__(self) -> None:
        self._seen = np.zeros(KNOTS)
        self._right = np.zeros(KNOTS)

    def add(self, scores: np.ndarray, right: np.ndarray) -> None:
        """Take pixels in.

        Args:
            scores: M values in [0, 1].
            right: M values, bool: whether what the score speaks for is true.
        """
        place = (logits(scores) + FARTHEST) * ((KNOTS - 1) / (2 * FARTHEST))
        low = place.astype(np.int32).clip(0, KNOTS - 2)
        share = (place - low).clip(0, 1)
        for knot, weight in ((low, 1 - share), (low + 1, share)):
            self._seen += np.bincount(knot, weight, minlength=KNOTS)
            self._right += np.bincount(knot, weight * right, minlength=KNOTS)

    def fitted(self) -> Curve:
        """Return the rising curve that is nearest to what was seen; without pixels, the scores."""
        from scipy.optimize import isotonic_regression

        grid = np.linspace(-FARTHEST, FARTHEST, KNOTS)
        known = self._seen > 0
        if not known.any():
            return Curve(_rounded(1 / (1 + np.exp(-grid))))
        shares = self._right[known] / self._seen[known]
        rising = isotonic_regression(shares, weights=self._seen[known]).x
        return Curve(_rounded(np.interp(grid, grid[known], rising)))


def logits(scores: np.ndarray) -> np.ndarray:
    """Return the logits of scores in [0, 1], `float32`, no farther from 0 than `FARTHEST`."""
    least = np.float32(1 / (1 + np.exp(FARTHEST)))
    kept = scores.astype(np.float32).clip(least, 1 - least)
    return np.log(kept / (1 - kept))


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
