"""Masks of all families are numbered, and vary."""

import numpy as np
import pytest

from prompttune.synthetic.families import FAMILIES
from prompttune.synthetic.shapes import MOST, TRAITS


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("size", [24, 48])
def test_shapes_are_numbered_and_differ_from_draw_to_draw(family, size: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [family(rng, size, rng.random(TRAITS)) for _ in range(12)]
    assert all(one.shape == (size, size) and one.dtype == np.uint8 for one in drawn)
    assert max(one.max() for one in drawn) <= MOST
    assert any((one != drawn[0]).any() for one in drawn[1:])
    assert any(one.any() and not one.all() for one in drawn)


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("traits", [0.0, 0.5, 0.999])
def test_shapes_bear_extreme_traits(family, traits: float) -> None:
    drawn = family(np.random.default_rng(1), 32, np.full(TRAITS, traits))
    assert drawn.dtype == np.uint8
