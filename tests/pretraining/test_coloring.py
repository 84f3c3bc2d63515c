"""Colors of samples: bright, apart, random or fixed."""

import numpy as np
import pytest

from prompttune.pretraining.coloring import choose_classes, draw_colors, fixed_colors, paint
from prompttune.pretraining.sources.pool import IGNORE


@pytest.mark.parametrize("count", [0, 1, 3, 6, 12])
def test_no_color_is_near_the_background_or_another(count: int) -> None:
    for seed in range(100):
        colors = draw_colors(np.random.default_rng(seed), count)
        assert colors.shape == (count, 3)
        assert (np.linalg.norm(colors, axis=1) > 0.45).all()
        apart = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + 9 * np.eye(count)
        assert not count or apart.min() > 0.3


def test_chosen_classes_are_shown_by_both_and_never_background() -> None:
    first, second = np.zeros((2, 20, 20), np.uint16)
    first[:5], first[5:10], first[10:12], first[0, 0] = 1, 2, IGNORE, 9
    second[:5], second[5:10], second[10:12], second[0, 0] = 2, 3, IGNORE, 9
    first[12:14] = second[12:14] = 256 + 7
    first[14], second[14] = 256, 256 + IGNORE
    seen, numbers = set(), set()
    for seed in range(50):
        chosen = choose_classes(np.random.default_rng(seed), [first, second], most=3)
        seen |= set(chosen.tolist())
        numbers.add(len(chosen))
    assert seen == {2, 256 + 7}
    assert numbers == {1, 2}


def test_painting_leaves_all_other_classes_black() -> None:
    classes = np.arange(6, dtype=np.uint8).reshape(2, 3)
    rng = np.random.default_rng(0)
    for fixed in (False, True):
        painted = paint(rng, classes, np.array([2, 4]), fixed)
        assert (painted.any(-1) == np.isin(classes, (2, 4))).all()
    assert np.array_equal(paint(rng, classes, np.array([2]), True)[0, 2], fixed_colors()[2])
