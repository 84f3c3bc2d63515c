"""Tilings have even tiles."""

import numpy as np
import pytest

from prompttune.synthetic.surfaces import tiling


@pytest.mark.parametrize("kind", range(4))
def test_tilings_have_tiles_of_about_equal_size(kind: int) -> None:
    """Every second tile or so is chosen; the whole ones among them are as large as each other."""
    traits = np.array([0.3, 0.0, 0.9, 0.9, (kind + 0.5) / 4, 0.5])
    areas = []
    for seed in range(4):
        drawn = tiling(np.random.default_rng(seed), 256, traits)
        inside = drawn.copy()
        inside[1:-1, 1:-1] = 0
        whole = np.setdiff1d(np.unique(drawn), np.unique(inside))
        areas += [int((drawn == number).sum()) for number in whole]
    assert len(areas) > 10
    assert np.percentile(areas, 80) < 1.3 * np.percentile(areas, 20)
