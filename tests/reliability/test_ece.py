"""Expected calibration error, against its definition worked out bin by bin."""

import math

import numpy as np
import pytest

from prompttune.reliability.ece import BINS, CalibrationError, raw_confidence


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
