"""What a key's validation images taught of its scores: when they are right, and how often."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

KNOTS = 33
FARTHEST = 8.0
"""The grid's ends, as logits: a score of 0.9997 and beyond is the last knot's."""


@dataclass(frozen=True)
class Curve:
    """A rising piecewise linear curve over the logit of a score, from scores to probabilities.

    Isotonic regression (Zadrozny and Elkan, KDD 2002) takes no shape for granted; the fixed grid
    makes the curve a short list of numbers, which a key can keep.
    """

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


@dataclass(frozen=True)
class Calibration:
    """Turns the scores of one prompt, or of the groups of one key, into probabilities.

    The curves are fitted over all pixels, whatever was decided of them, so they hold for any
    threshold.
    """

    foreground: Curve
    """From the sum of a pixel's class scores (of groups: the largest of their sums) to the
    probability that the pixel shows any class."""
    classes: Curve
    """From the score of one class to the probability that the pixel shows it."""
    dice: tuple[float, float]
    """Offset and slope, from an answer's mean probability over what was found to its Dice."""
    crops: int = 1
    """Of validation images, that it was fitted on."""
    held_out: bool = True
    """Whether these images were not among those that the key was tuned on."""

    def confidence(
        self, scores: np.ndarray, class_map: np.ndarray, groups: Sequence[int]
    ) -> np.ndarray:
        """Return the probability that each pixel's class is right.

        Args:
            scores: `C x H x W float32` in [0, 1].
            class_map: `H x W uint8`, what was decided.
            groups: the number of classes of each of the prompts, which sum to C.

        Returns:
            `H x W float32` in [0, 1].
        """
        background = 1 - self.foreground(foreground_scores(scores, groups))
        return np.where(class_map == 0, background, self._found(scores, class_map))

    def _found(self, scores: np.ndarray, class_map: np.ndarray) -> np.ndarray:
        index = np.maximum(class_map.astype(np.int64) - 1, 0)
        return self.classes(np.take_along_axis(scores, index[None], 0)[0])

    def expected_dice(self, scores: np.ndarray, class_map: np.ndarray) -> float | None:
        """Return the Dice that an answer can be expected to have, in [0, 1].

        None where nothing was found: Dice then tells only whether there was nothing to find.
        """
        certainty = self.certainty(scores, class_map)
        if certainty is None:
            return None
        offset, slope = self.dice
        return min(1.0, max(0.0, offset + slope * certainty))

    def certainty(self, scores: np.ndarray, class_map: np.ndarray) -> float | None:
        """Return the mean probability over what was found, of several classes the mean of theirs.

        Of all that was tried (expected overlap, stability under the threshold, entropy, pieces an
        area), this went best with the true Dice.
        """
        if not class_map.any():
            return None
        found = self._found(scores, class_map)
        shown = np.unique(class_map[class_map > 0])
        return math.fsum(float(found[class_map == index].mean()) for index in shown) / len(shown)


@dataclass(frozen=True)
class Zoomed:
    """What holds where an answer is the mean over several zooms: its scores are softer."""

    threshold: float
    """In place of the prompt's own."""
    calibration: Calibration


def foreground_scores(scores: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Return what is set against the threshold, `H x W`: of groups the largest of their sums.

    Args:
        scores: `C x H x W` in [0, 1].
        groups: the number of classes of each prompt, which sum to C.
    """
    starts = np.cumsum((0, *groups[:-1]))
    return np.add.reduceat(scores, starts, axis=0).max(0)


SLOPE, SLOPE_SD = 1.0, 0.5
"""What is believed of the slope before any image is seen: few images hardly move it."""


def fit_line(
    certainties: Sequence[float], dices: Sequence[float], weights: Sequence[float]
) -> tuple[float, float]:
    """Fit offset and slope from certainty to Dice, weighted, the slope drawn towards 1.

    Args:
        certainties: one an answer, as `Calibration.certainty` gives them.
        dices: as many, the true values.
        weights: as many, at least 0: how much each counts.

    Returns:
        Offset and slope; (0, 1) where no answer counts.
    """
    x, y, w = (np.asarray(each, float) for each in (certainties, dices, weights))
    if not w.sum() > 0:
        return 0.0, SLOPE
    w = w / w.sum()
    mean_x, mean_y = w @ x, w @ y
    spread, together = w @ (x - mean_x) ** 2, w @ ((x - mean_x) * (y - mean_y))
    noise = w @ (y - mean_y - SLOPE * (x - mean_x)) ** 2 / max(1, len(x) - 1)
    prior = noise / SLOPE_SD**2
    slope = (together + prior * SLOPE) / (spread + prior) if spread + prior > 0 else SLOPE
    return round(float(mean_y - slope * mean_x), 4), round(float(slope), 4)


BINS = 15


class CalibrationError:
    """Expected calibration error (Guo et al., ICML 2017, arXiv 1706.04599).

    It gathers pixels image by image; `value` is the error over all of them.
    """

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
