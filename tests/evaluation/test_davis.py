"""J and F beside values worked out by hand and a slow boundary measure that compares all pairs."""

import math

import numpy as np
import pytest

from prompttune.evaluation.davis import (
    ObjectScores,
    VideoScores,
    boundary,
    boundary_accuracy,
    mean_scores,
    region_similarity,
)
from prompttune.utils.errors import InputError


def box(top: int, left: int, side: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def slow_boundary(mask: np.ndarray) -> list[tuple[int, int]]:
    height, width = mask.shape
    places = []
    for y in range(height):
        for x in range(width):
            others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            inside = [mask[other] for other in others if other[0] < height and other[1] < width]
            if any(value != mask[y, x] for value in inside):
                places.append((y, x))
    return places


def slow_accuracy(found: np.ndarray, truth: np.ndarray, tolerance: float) -> float:
    radius = math.ceil(tolerance * math.hypot(*found.shape))
    edges, others = slow_boundary(found), slow_boundary(truth)

    def near(some: list[tuple[int, int]], rest: list[tuple[int, int]]) -> float:
        hits = [any(math.dist(one, other) <= radius for other in rest) for one in some]
        return sum(hits) / len(hits)

    precision, recall = near(edges, others), near(others, edges)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_region_by_hand() -> None:
    # Two 10 x 10 boxes, 4 columns apart: 60 pixels in common of 140.
    assert region_similarity(box(5, 5, 10), box(5, 9, 10)) == pytest.approx(60 / 140)
    assert region_similarity(box(5, 5, 10), box(25, 40, 10)) == 0
    assert region_similarity(box(0, 0, 0), box(0, 0, 0)) == 1
    assert region_similarity(box(0, 0, 0), box(0, 0, 3)) == 0


def test_boundary_by_hand() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    expected = np.zeros((5, 5), bool)
    expected[1:3, 1:3] = True
    assert np.array_equal(boundary(mask), expected)
    assert not boundary(np.ones((5, 5), bool)).any(), "the image's own border is no boundary"


def test_boundary_accuracy_by_hand() -> None:
    # The diagonal is 100, the tolerance of .008 one pixel.
    shape = (60, 80)
    one = box(20, 20, 10, shape)
    assert boundary_accuracy(one, one) == 1
    assert boundary_accuracy(one, box(21, 20, 10, shape)) == 1, "one pixel off counts as equal"
    assert boundary_accuracy(one, box(40, 60, 10, shape)) == 0
    # Edges of all 60 rows in column 19, and in column 22: too far apart.
    left, right = np.zeros(shape, bool), np.zeros(shape, bool)
    left[:, :20], right[:, :23] = True, True
    assert boundary_accuracy(left, right) == 0
    # Below row 30 both are in column 19. The step adds columns 19 to 21 of row 29. Of 60 and of 63
    # pixels 32 are near the other edge: the 30 below, and two at the step.
    right[30:, 20:] = False
    assert boundary_accuracy(left, right) == pytest.approx(2 * 32 / (60 + 63))


@pytest.mark.parametrize("seed", range(6))
def test_boundary_accuracy_equals_the_slow_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shape = (24 + seed, 31)
    rows, columns = np.indices(shape)
    truth = (rows - 12) ** 2 + (columns - 14) ** 2 < 60
    shift = generator.integers(-3, 4, 2)
    found = np.roll(truth, shift, (0, 1)) ^ (generator.random(shape) < 0.03)
    for tolerance in (0.008, 0.06):
        assert boundary_accuracy(found, truth, tolerance) == pytest.approx(
            slow_accuracy(found, truth, tolerance), abs=1e-12
        )


def test_masks_without_a_boundary() -> None:
    empty, some = box(0, 0, 0), box(5, 5, 5)
    assert boundary_accuracy(empty, empty) == 1
    assert boundary_accuracy(empty, some) == boundary_accuracy(some, empty) == 0


def test_first_and_last_frame_do_not_count() -> None:
    truth = box(5, 5, 10).astype(np.uint8) + 2 * box(20, 30, 8)
    moved = box(5, 9, 10).astype(np.uint8) + 2 * box(20, 30, 8)
    scores = VideoScores(objects=2)
    for found in (truth * 0, truth, moved, truth * 0):
        scores.add(found, truth)
    first, second = scores.result()
    assert first.region == (1, pytest.approx(60 / 140))
    assert second.region == second.boundary == (1, 1)
    assert first.j == pytest.approx((1 + 60 / 140) / 2)
    assert first.j_and_f == pytest.approx((first.j + first.f) / 2)
    means = mean_scores([first, second])
    assert means == pytest.approx(((first.j_and_f + 1) / 2, (first.j + 1) / 2, (first.f + 1) / 2))


def test_ignored_pixels_do_not_count() -> None:
    truth = box(5, 5, 10).astype(np.uint8)
    found = truth.copy()
    truth[5:15, 10:15] = 255
    scores = VideoScores(objects=1)
    for _ in range(3):
        scores.add(found, truth)
    assert scores.result() == [ObjectScores((1.0,), (1.0,))]


def test_bad_frames_are_refused() -> None:
    scores = VideoScores(objects=1)
    with pytest.raises(InputError, match="frame 0: 4 x 5 found, but truth 5 x 4"):
        scores.add(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))
    with pytest.raises(InputError, match="0 frames: the first and the last do not count"):
        scores.result()
