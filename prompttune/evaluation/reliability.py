"""How far a calibrated key knows how right it is, on the images that it is scored on."""

import math

import numpy as np

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import counted_pixels
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt, calibration_of
from prompttune.reliability.calibration import CalibrationError, raw_confidence

LEAST_IMAGES = 5
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
        if len(pairs) < LEAST_IMAGES or not pairs.std(0).all():
            return math.nan
        return float(np.corrcoef(pairs.T)[0, 1])
