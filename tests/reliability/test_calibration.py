"""Confidence and expected Dice of answers, worked out by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from prompttune.reliability.calibration import (
    BINS,
    FARTHEST,
    KNOTS,
    Calibration,
    CalibrationError,
    Curve,
    CurveFit,
    fit_line,
    foreground_scores,
    logits,
    raw_confidence,
)

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


def test_a_curve_learns_the_true_probabilities() -> None:
    random = np.random.default_rng(0)
    scores = random.random(200_000)
    truth = random.random(200_000) < scores**3  # far too sure of themselves
    fit = CurveFit()
    for part in range(4):  # image by image
        fit.add(scores[part::4], truth[part::4])
    asked = np.linspace(0.05, 0.95, 19)
    assert np.abs(fit.fitted()(asked) - asked**3).max() < 0.02


def test_on_its_knots_it_is_isotonic_regression() -> None:
    random = np.random.default_rng(1)
    grid = np.linspace(-FARTHEST, FARTHEST, KNOTS)
    place = random.integers(KNOTS, size=5000)
    truth = random.random(5000) < 0.5 + 0.4 * np.sin(place)  # falls here and there
    fit = CurveFit()
    fit.add(1 / (1 + np.exp(-grid[place])), truth)
    counts = np.bincount(place, minlength=KNOTS)
    oracle = isotonic_regression(np.bincount(place, truth, KNOTS) / counts, weights=counts).x
    assert np.abs(np.array(fit.fitted().values) - oracle).max() < 2e-3


def test_a_curve_never_falls_and_stays_within_zero_and_one() -> None:
    fit = CurveFit()
    fit.add(np.array([0.2, 0.9, 0.5]), np.array([True, False, True]))
    values = fit.fitted().values
    assert list(values) == sorted(values)
    assert 0 <= values[0] <= values[-1] <= 1


def test_without_pixels_scores_are_taken_as_they_are() -> None:
    scores = np.array([0.1, 0.5, 0.9], np.float32)
    assert CurveFit().fitted()(scores) == pytest.approx(scores, abs=5e-3)


def test_ends_are_finite() -> None:
    ends = np.array([0.0, 1.0])
    assert np.isfinite(logits(ends)).all()
    curve = Curve(tuple(np.linspace(0, 1, KNOTS)))
    assert curve(ends) == pytest.approx([0, 1], abs=1e-4)


def test_many_answers_give_the_line_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.random(4000)
    y = 0.1 + 0.6 * x + rng.normal(0, 0.02, x.size)
    offset, slope = fit_line(x, y, np.ones_like(x))
    expected = np.polyfit(x, y, 1)
    assert (slope, offset) == pytest.approx(tuple(expected), abs=0.01)


def test_few_answers_leave_the_slope_near_one() -> None:
    _, few = fit_line([0.5, 0.52], [0.9, 0.3], [1, 1])
    assert few == pytest.approx(1, abs=0.2)
    assert fit_line([], [], []) == (0.0, 1.0)
    assert fit_line([0.4], [0.7], [2.0]) == pytest.approx((0.3, 1.0))


def test_weights_count_as_repeats() -> None:
    x, y = [0.1, 0.5, 0.9], [0.2, 0.4, 0.9]
    weighted = fit_line(x, y, [2, 2, 2])
    assert weighted == pytest.approx(fit_line(x, y, [1, 1, 1]))


def test_it_is_its_definition_whatever_the_order() -> None:
    random = np.random.default_rng(0)
    confidence, right = random.random(3000), random.random(3000) < 0.6
    error = CalibrationError()
    for part in np.array_split(random.permutation(3000), 3):
        error.add(confidence[part], right[part])
    expected = 0.0
    for number in range(BINS):
        own = (confidence >= number / BINS) & (confidence < (number + 1) / BINS)
        expected += own.mean() * abs(confidence[own].mean() - right[own].mean())
    assert error.value == pytest.approx(expected)


def test_a_sure_and_right_answer_has_none_and_nothing_is_nan() -> None:
    error = CalibrationError()
    assert math.isnan(error.value)
    error.add(np.ones(4), np.ones(4, bool))
    assert error.value == 0


def test_what_scores_claim() -> None:
    scores = np.array([[[0.2, 0.7]], [[0.1, 0.1]]], np.float32)
    claimed = raw_confidence(scores, np.array([[0, 1]], np.uint8))
    assert claimed == pytest.approx(np.array([[0.7, 0.7]]))
