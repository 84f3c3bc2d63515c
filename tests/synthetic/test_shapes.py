"""Shapes: each thing has a number of its own, and is of one piece where its family says so."""

import cv2
import numpy as np
import pytest

from prompttune.synthetic.shapes import TRAITS, blobs, boxes, polygons, rings


def drawn(family, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return family(rng, 96, rng.random(TRAITS))


@pytest.mark.parametrize("family", [blobs, boxes, polygons], ids=lambda one: one.__name__)
def test_the_last_thing_lies_above_in_one_piece(family) -> None:
    for seed in range(8):
        things = drawn(family, seed)
        last = (things == things.max()).astype(np.uint8)
        assert last.any()
        assert cv2.connectedComponents(last)[0] <= 3, "itself, perhaps cut by the border"


def test_rings_have_holes() -> None:
    holes = 0
    for seed in range(12):
        things = drawn(rings, seed)
        count, labels = cv2.connectedComponents((things == 0).astype(np.uint8), connectivity=4)
        border = set(labels[[0, -1]].ravel()) | set(labels[:, [0, -1]].ravel())
        holes += sum(number not in border for number in range(1, count))
    assert holes > 6


def test_one_seed_gives_one_drawing() -> None:
    assert np.array_equal(drawn(blobs, 3), drawn(blobs, 3))
    assert not np.array_equal(drawn(blobs, 3), drawn(blobs, 4))
