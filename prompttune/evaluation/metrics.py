"""Dice, IoU, ROC-AUC and clDice of one image, and the rule that sets a decision threshold.

Only counted pixels enter: inside the field of view and not ignored (255). With several classes each
metric is the mean over the classes that the truth shows. A data set's value is the mean over its
images, so a large image weighs no more than a small one.

Conventions where a ratio has no denominator:
- truth without foreground: Dice, IoU and clDice are 1 if nothing was predicted, else 0; AUC is NaN;
- truth with nothing but foreground: AUC is NaN;
- no counted pixel at all: everything is NaN.
NaN values are left out of means; a mean of nothing is NaN.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.skeletons import skeleton
from prompttune.prompts.composition import Composition, calibration_of
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import CalibrationError, raw_confidence
from prompttune.utils.constants import IGNORE


@dataclass(frozen=True)
class Metrics:
    """One image's values, or their mean; each in [0, 1] or NaN where it is not defined."""

    dice: float
    iou: float
    auc: float
    cldice: float


UNDEFINED = Metrics(math.nan, math.nan, math.nan, math.nan)


def threshold_grid() -> np.ndarray:
    """Return the 33 thresholds that are tried, ascending `float32`, the middle one 0.5.

    Evenly spaced logits: with one white class the score of gray level g is sigmoid(6 (2 g - 1)), so
    the grid is even in g, and the faint answers of a weak prompt find their threshold too.
    """
    logits = np.linspace(-6, 6, 35)[1:-1]
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def counted_pixels(class_map: np.ndarray, field_of_view: np.ndarray | None) -> np.ndarray:
    """Return `H x W bool`: the pixels that are scored."""
    counted = class_map != IGNORE
    return counted if field_of_view is None else counted & field_of_view


def measure(
    scores: np.ndarray, predicted: np.ndarray, truth: np.ndarray, counted: np.ndarray
) -> Metrics:
    """Measure one image.

    Args:
        scores: `C x H x W float`, one plane a foreground class.
        predicted: `H x W uint8` class map decided from the scores.
        truth: `H x W uint8` class map.
        counted: `H x W bool`, the pixels that are scored.
    """
    if not counted.any():
        return UNDEFINED
    truth, predicted = np.where(counted, truth, 0), np.where(counted, predicted, 0)
    present = [index for index in range(1, len(scores) + 1) if (truth == index).any()]
    if not present:
        agreed = 0.0 if predicted.any() else 1.0
        return Metrics(agreed, agreed, math.nan, agreed)
    return mean_metrics(
        Metrics(
            dice=dice(predicted == index, truth == index),
            iou=iou(predicted == index, truth == index),
            auc=auc(scores[index - 1][counted], truth[counted] == index),
            cldice=cldice(predicted == index, truth == index),
        )
        for index in present
    )


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return Dice = 2 |P and T| / (|P| + |T|) of two boolean masks; 1 if both are empty."""
    total = np.count_nonzero(predicted) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(predicted & truth) / total if total else 1.0


def pixel_dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean Dice of the classes that the truth shows, as `measure` does.

    Args:
        predicted: M class indices, `uint8`; `truth` likewise, of the pixels that count.
    """
    if not len(truth):
        return math.nan
    wanted, found = (np.bincount(each, minlength=256) for each in (truth, predicted))
    present = np.flatnonzero(wanted[1:]) + 1
    if not len(present):
        return float(not predicted.any())
    hits = np.bincount(truth[predicted == truth], minlength=256)
    return float(np.mean(2 * hits[present] / (found + wanted)[present]))


def iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return IoU = |P and T| / |P or T| of two boolean masks; 1 if both are empty."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the exact area under the ROC curve of a list of scores, ties counting half.

    It is the share of (positive, negative) pairs that the scores order rightly (Mann-Whitney U).
    NaN where one of the two kinds is missing.
    """
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return math.nan
    below = np.searchsorted(negative, positive, "left").sum(dtype=np.int64)
    not_above = np.searchsorted(negative, positive, "right").sum(dtype=np.int64)
    return float(below + not_above) / 2 / len(positive) / len(negative)


def cldice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return the center-line Dice of two boolean masks (Shit et al., CVPR 2021, arXiv 2003.07311).

    Harmonic mean of the share of the predicted skeleton inside the truth and the share of the true
    skeleton inside the prediction: it asks whether thin structures are connected, not how wide they
    are. 1 if both masks are empty, 0 if one is.
    """
    if not predicted.any() or not truth.any():
        return float(predicted.any() == truth.any())
    precision = truth[skeleton(predicted)].mean()
    sensitivity = predicted[skeleton(truth)].mean()
    total = precision + sensitivity
    return float(2 * precision * sensitivity / total) if total else 0.0


def mean_metrics(metrics: Iterable[Metrics]) -> Metrics:
    """Return the mean of each metric over those of its values that are defined."""
    columns = zip(*(astuple(each) for each in metrics), strict=True)
    means = [defined_mean(column) for column in columns]
    return Metrics(*means) if means else UNDEFINED


def defined_mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN, or NaN if there are none."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def or_zero(value: float) -> float:
    """Return the value, or 0 for NaN: what is not defined never wins a choice."""
    return 0.0 if math.isnan(value) else value


def dice_curve(
    scores: np.ndarray, truth: np.ndarray, counted: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Return the Dice of one image at each threshold, exactly as deciding anew at each would give.

    Deciding follows `Palette.decide`: foreground where the class scores sum to more than the
    threshold, and there the class with the largest score. One pass for all thresholds.

    Args:
        scores: `C x H x W float32`.
        truth: `H x W uint8` class map.
        counted: `H x W bool`.
        thresholds: T ascending values.

    Returns:
        T values, `float64`; NaN where no pixel counts.
    """
    steps, count = len(thresholds), len(scores)
    if not counted.any():
        return np.full(steps, math.nan)
    planes, true = _listed(scores, counted), _listed(truth[None], counted)[0]
    # A pixel is foreground at the first `passed` thresholds, those below its score.
    passed = np.searchsorted(thresholds.astype(planes.dtype), planes.sum(axis=0), "left")
    guess = planes.argmax(axis=0) if count > 1 else np.zeros(1, np.intp)
    cell = (2 * guess + (true == guess + 1)) * (steps + 1) + passed
    pixels = np.bincount(cell, minlength=2 * count * (steps + 1)).reshape(count, 2, steps + 1)
    found = pixels[..., ::-1].cumsum(-1)[..., -2::-1]  # at each threshold: wrongly, rightly
    wanted = np.bincount(true, minlength=IGNORE + 1)[1 : count + 1]
    if not wanted.any():
        return (found.sum((0, 1)) == 0).astype(float)
    shown = wanted > 0
    curves = 2 * found[shown, 1] / (found[shown].sum(1) + wanted[shown, None])
    return np.asarray(curves.mean(axis=0))


def _listed(planes: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the pixels that count of each plane, `C x M`; all of them without a copy."""
    return planes.reshape(len(planes), -1) if counted.all() else planes[:, counted]


FEW_IMAGES = 3
"""Fewer do not tell which threshold suits the others."""
DOUBT = 1 / 36
"""Dice that a threshold must gain on one image, a squared unit of its logit. With one of five
images of cracks or roads to choose by, thresholds of .06 and .002 were chosen without it."""


def best_threshold(curves: Sequence[np.ndarray], thresholds: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the best mean Dice over some images, and that mean Dice.

    Args:
        curves: one `dice_curve` an image.
        thresholds: the values that the curves were taken at.

    Of equally good thresholds the one nearest 0.5 is taken. One or two images say little: with so
    few a threshold far from 0.5 must gain more (`DOUBT`). Without any image that has counted
    pixels there is nothing to choose by: 0.5 and NaN.
    """
    means = np.array([defined_mean(column) for column in zip(*curves, strict=True)])
    if not len(means) or np.isnan(means).all():
        return 0.5, math.nan
    count = sum(not np.isnan(curve).all() for curve in curves)
    doubt = DOUBT / count if count < FEW_IMAGES else 0.0
    worth = means - doubt * np.log(thresholds / (1 - thresholds)) ** 2
    best = np.flatnonzero(worth == worth.max())
    chosen = min(best, key=lambda index: abs(thresholds[index] - 0.5))
    return float(thresholds[chosen]), float(means[chosen])


def choose_threshold(
    images: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[float, float]:
    """Return the best threshold of the grid, and its mean Dice, for (scores, truth, counted) each.

    This is the one rule by which thresholds are set, for keys and for rows of a comparison alike.
    """
    grid = threshold_grid()
    return best_threshold([dice_curve(*image, grid) for image in images], grid)


MIN_IMAGES = 5
"""Of fewer a correlation says nothing."""


class Reliability:
    """Gathers image by image; all values are NaN where the prompt has no calibration.

    Args:
        prompt: that answers; None: something else does.
    """

    def __init__(self, prompt: Prompt | Composition | None) -> None:
        known = (None, []) if prompt is None else calibration_of(prompt)
        self._calibration, self._groups = known
        self._before, self._after = CalibrationError(), CalibrationError()
        self._dice: list[tuple[float, float]] = []

    def add(
        self, scores: np.ndarray, class_map: np.ndarray, sample: LoadedSample, dice: float
    ) -> None:
        """Take an answer in.

        Args:
            scores: `C x H x W float32`.
            class_map: `H x W uint8`, what was decided.
            sample: the truth.
            dice: of the answer.
        """
        if self._calibration is None:
            return
        counted = counted_pixels(sample.class_map, sample.field_of_view)
        right = (class_map == sample.class_map)[counted]
        confidence = self._calibration.confidence(scores, class_map, self._groups)
        self._before.add(raw_confidence(scores, class_map)[counted], right)
        self._after.add(confidence[counted], right)
        expected = self._calibration.expected_dice(scores, class_map)
        if expected is not None and not math.isnan(dice):
            self._dice.append((expected, dice))

    @property
    def ece_before(self) -> float:
        """Expected calibration error of the scores as they are, over all counted pixels."""
        return self._before.value

    @property
    def ece(self) -> float:
        """That of the calibrated confidence."""
        return self._after.value

    @property
    def expected_dice_r(self) -> float:
        """Pearson's correlation of the expected Dice with the true one over the images."""
        pairs = np.array(self._dice)
        if len(pairs) < MIN_IMAGES or not pairs.std(0).all():
            return math.nan
        return float(np.corrcoef(pairs.T)[0, 1])
