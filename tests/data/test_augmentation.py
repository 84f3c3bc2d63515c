"""What augmentation needs around a crop, and what it does."""

import numpy as np
import pytest
from cropping import CANVAS

from prompttune.data.augmentation import Augmentation


@pytest.mark.parametrize("canvas", [32, 96, 101])
def test_margin_holds_what_the_strongest_rotation_and_shrinking_bring_in(canvas: int) -> None:
    corner = np.array([canvas / 2, canvas / 2])
    reach = 0.0
    for angle in np.radians(np.linspace(-15, 15, 31)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        reach = max(reach, np.abs(turn @ corner / 0.9).max())
    margin = Augmentation(canvas).margin
    assert reach <= canvas / 2 + margin - 1 < reach + 1  # one more for interpolation


def test_augmentation_turns_mirrors_and_recolours() -> None:
    rng = np.random.default_rng(0)
    augment = Augmentation(CANVAS)
    side = CANVAS + 2 * augment.margin
    image = rng.integers(60, 200, (side, side, 3), dtype=np.uint8)
    quarters = np.zeros((side, side), np.uint8)  # 0 1 / 2 3
    quarters[side // 2 :] += 2
    quarters[:, side // 2 :] += 1
    corners, means = set(), set()
    for seed in range(100):
        augmented, moved = augment(image, quarters, seed)
        assert set(np.unique(moved)) <= {0, 1, 2, 3}
        corners.add((moved[4, 4], moved[4, -5]))
        means.add(tuple(augmented.mean((0, 1)).round()))
    assert len(corners) == 8  # all flips and quarter turns
    assert len(means) > 50
