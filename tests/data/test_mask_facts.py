"""What one mask holds."""

import numpy as np

from prompttune.data.mask_facts import look_at
from prompttune.data.mask_forms import Stored

MASK = np.zeros((10, 20), np.uint8)
MASK[:, 5:] = 1


def test_a_mask_without_its_pixels() -> None:
    facts = look_at(Stored(MASK, "indices", {0: 0, 1: 0xFF0000}), "a.png")
    assert (facts.name, facts.size, facts.counts) == ("a.png", (20, 10), {0: 50, 1: 150})
    assert facts.shown == [1]
    assert facts.palette == {0: 0, 1: 0xFF0000}
    assert not facts.shades


def test_the_rim_is_the_outermost_pixels() -> None:
    assert look_at(Stored(MASK, "gray"), "a").rim == 38 / 56
    inside = np.zeros((10, 20), np.uint8)
    inside[1:-1, 1:-1] = 1
    assert look_at(Stored(inside, "gray"), "a").rim == 0
    assert look_at(Stored(np.ones((1, 1), np.uint8), "gray"), "a").rim == 1
