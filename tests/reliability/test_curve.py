"""Curves from scores to probabilities, against known probabilities and scipy's regression."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from prompttune.reliability.curve import FARTHEST, KNOTS, Curve, CurveFit, logits


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
