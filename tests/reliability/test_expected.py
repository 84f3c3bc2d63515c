"""The line from certainty to Dice: least squares where there is enough, a belief where not."""

import numpy as np
import pytest

from prompttune.reliability.expected import fit_line


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
