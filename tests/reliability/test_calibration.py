"""Confidence and expected Dice of answers, worked out by hand."""

import numpy as np
import pytest

from prompttune.reliability.calibration import Calibration, foreground_scores
from prompttune.reliability.curve import FARTHEST, KNOTS, Curve
from prompttune.reliability.expected import fit_line

AS_SCORED = Curve(tuple(1 / (1 + np.exp(-np.linspace(-FARTHEST, FARTHEST, KNOTS)))))
HALVED = Curve(tuple(value / 2 for value in AS_SCORED.values))


def test_confidence_is_that_of_what_was_decided() -> None:
    scores = np.array([[[0.2, 0.7, 0.1]], [[0.1, 0.1, 0.6]]], np.float32)  # 2 classes, 1 x 3
    decided = np.array([[0, 1, 2]], np.uint8)
    known = Calibration(AS_SCORED, HALVED, (0.0, 1.0))
    confidence = known.confidence(scores, decided, [2])
    assert confidence == pytest.approx(np.array([[1 - 0.3, 0.35, 0.3]]), abs=5e-3)
    assert confidence.dtype == np.float32


def test_groups_speak_by_their_own_sums() -> None:
    scores = np.array([[[0.2]], [[0.3]], [[0.4]]], np.float32)
    assert foreground_scores(scores, [2, 1]) == pytest.approx(np.array([[0.5]]))
    assert foreground_scores(scores, [3]) == pytest.approx(np.array([[0.9]]))


def test_expected_dice_is_a_line_over_the_mean_of_what_was_found() -> None:
    scores = np.array([[[0.8, 0.6, 0.0]], [[0.0, 0.0, 0.4]]], np.float32)
    decided = np.array([[1, 1, 2]], np.uint8)
    known = Calibration(AS_SCORED, AS_SCORED, (0.1, 0.5))
    assert known.expected_dice(scores, decided) == pytest.approx(0.1 + 0.5 * 0.55, abs=5e-3)
    assert known.expected_dice(scores, np.zeros_like(decided)) is None
    assert Calibration(AS_SCORED, AS_SCORED, (5.0, 1.0)).expected_dice(scores, decided) == 1


def test_many_answers_give_their_own_line_and_few_hardly_move_the_slope() -> None:
    random = np.random.default_rng(0)
    certain = random.random(200)
    many = fit_line(certain, 0.3 + 0.4 * certain + random.normal(0, 0.01, 200), np.ones(200))
    assert many == pytest.approx((0.3, 0.4), abs=0.02)
    offset, slope = fit_line([0.60, 0.62], [0.7, 0.5], [1, 1])
    assert abs(slope - 1) < 0.2
    assert offset + slope * 0.61 == pytest.approx(0.6, abs=1e-3)
    assert fit_line([0.5], [0.4], [1]) == pytest.approx((-0.1, 1.0))
    assert fit_line([], [], []) == (0.0, 1.0)
