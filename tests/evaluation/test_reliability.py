"""How far a key knew how right it was, against sums by hand."""

import math

import numpy as np
import pytest
import torch

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.reliability import LEAST_IMAGES, Reliability
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve

STRAIGHT = Curve(tuple(np.linspace(0, 1, 33)))
PLANE = torch.zeros(3, 4, 4)


def prompt(calibrated: bool) -> Prompt:
    known = Calibration(STRAIGHT, STRAIGHT, (0.0, 1.0), 4, True) if calibrated else None
    return Prompt((PLANE,), (PLANE,), Palette.of(["a"]), calibration=known)


def test_without_a_calibration_nothing_is_known() -> None:
    for one in (None, prompt(False)):
        gathered = Reliability(one)
        gathered.add(np.ones((1, 2, 2), np.float32), np.ones((2, 2), np.uint8), sample(), 1.0)
        assert math.isnan(gathered.ece)
        assert math.isnan(gathered.ece_before)
        assert math.isnan(gathered.expected_dice_r)


def sample(size: int = 2) -> LoadedSample:
    return LoadedSample("a", np.zeros((size, size, 3), np.uint8), np.ones((size, size), np.uint8))


def test_the_error_of_scores_is_what_they_claim_too_much() -> None:
    """Scores of .75 that are right in half of the pixels: off by a quarter."""
    gathered = Reliability(prompt(True))
    half = LoadedSample("a", np.zeros((2, 2, 3), np.uint8), np.array([[1, 1], [0, 0]], np.uint8))
    scores, decided = np.full((1, 2, 2), 0.75, np.float32), np.ones((2, 2), np.uint8)
    gathered.add(scores, decided, half, 0.7)
    assert gathered.ece_before == pytest.approx(0.25, abs=1e-6)
    known = Calibration(STRAIGHT, STRAIGHT, (0.0, 1.0), 4, True)
    confidence = known.confidence(scores, decided, [(1,)])
    assert gathered.ece == pytest.approx(abs(float(confidence.mean()) - 0.5), abs=1e-6)


def test_the_correlation_wants_a_few_images_that_differ() -> None:
    gathered = Reliability(prompt(True))
    for number in range(LEAST_IMAGES):
        assert math.isnan(gathered.expected_dice_r)
        scores = np.full((1, 2, 2), 0.6 + 0.08 * number, np.float32)
        gathered.add(scores, np.ones((2, 2), np.uint8), sample(), 0.5 + 0.1 * number)
    assert gathered.expected_dice_r > 0.95
