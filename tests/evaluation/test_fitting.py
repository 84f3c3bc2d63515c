"""Boundary F and panoptic quality, beside the same things counted by hand or in loops."""

import numpy as np
import pytest

from prompttune.evaluation.comparison import Candidate, RowScores, Trial, Validated
from prompttune.evaluation.fitting import (
    Panoptic,
    boundary_f,
    fitting_score,
    match_things,
    row_score,
    things_of,
)


def border_pixels(mask: np.ndarray) -> list[tuple[int, int]]:
    high, wide = mask.shape
    return [
        (y, x)
        for y, x in zip(*np.nonzero(mask), strict=True)
        if not all(
            mask[min(max(y + b, 0), high - 1), min(max(x + a, 0), wide - 1)]
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
        )
    ]


def test_boundary_f_is_what_loops_count() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        mine, theirs = (np.kron(rng.random((5, 6)) < 0.4, np.ones((4, 4))) > 0 for _ in range(2))
        borders = [border_pixels(mine), border_pixels(theirs)]

        def near(some: list, others: list) -> float:
            return float(
                np.mean([min(np.hypot(y - b, x - a) for b, a in others) <= 2 for y, x in some])
            )

        precision, recall = near(borders[0], borders[1]), near(borders[1], borders[0])
        expected = 2 * precision * recall / (precision + recall)
        assert boundary_f(mine, theirs) == pytest.approx(expected)


def test_a_line_may_be_off_by_two_pixels_and_no_more() -> None:
    line = np.zeros((20, 20), bool)
    line[:, 8] = True
    scores = [boundary_f(np.roll(line, shift, 1), line) for shift in range(5)]
    assert scores == [1, 1, 1, 0, 0]
    empty = np.zeros_like(line)
    assert (boundary_f(empty, empty), boundary_f(line, empty), boundary_f(empty, line)) == (1, 0, 0)


def test_panoptic_quality_by_hand() -> None:
    truth = np.zeros((10, 30), int)
    truth[:, :10], truth[:, 10:20] = 1, 2
    found = np.zeros_like(truth)
    found[:, :8] = 5  # .8 of the first
    found[:, 14:24] = 3  # a third of the second at most: missed, and one false
    parts = match_things(found, truth)
    assert (parts.matched, parts.missed, parts.false) == (1, 1, 1)
    assert parts.quality == pytest.approx(0.8 / 2)
    assert (parts + parts).quality == pytest.approx(0.8 / 2)
    assert match_things(truth, truth).quality == 1
    assert match_things(0 * truth, 0 * truth).quality == 1
    assert Panoptic(0.0, 0, 2, 0).quality == 0


def test_a_border_parts_touching_cells_and_belongs_to_the_nearest() -> None:
    class_map = np.zeros((12, 24), np.uint8)
    class_map[1:11, 1:12], class_map[1:11, 12:23] = 2, 2
    class_map[3:9, 3:10], class_map[3:9, 14:21] = 1, 1
    class_map[0, 0] = 1  # too small to be a thing
    things = things_of(class_map)
    assert set(np.unique(things)) - {0} == {things[5, 5], things[5, 17]}
    assert things[5, 5] != things[5, 17]
    assert things[5, 11] == things[5, 5]
    assert things[5, 12] == things[5, 17]
    assert ((things > 0) == (class_map > 0))[1:].all()
    assert not things_of(np.full((4, 4), 2, np.uint8)).any()


def trial_of(class_map: np.ndarray) -> Trial:
    import zlib

    candidate = Candidate("x", 1, lambda _, image: None)
    packed = zlib.compress(class_map.tobytes())
    return Trial(candidate, Validated(0.5, 0.5), (), (), None, (packed,))  # type: ignore[arg-type]


def test_only_counted_pixels_and_shown_classes_enter() -> None:
    from prompttune.data.layouts import LoadedSample

    truth = np.zeros((20, 20), np.uint8)
    truth[:, 4:9] = 1
    ignored = truth.copy()
    ignored[:, 15:] = 255
    wrong = truth.copy()
    wrong[:, 16] = 1
    image = np.zeros((20, 20, 3), np.uint8)
    plain, masked = (LoadedSample("x", image, each) for each in (truth, ignored))
    trial = trial_of(wrong)
    assert fitting_score(trial, [masked], "boundary") == 1
    assert fitting_score(trial, [plain], "boundary") < 1
    assert fitting_score(trial, [masked], "pq") == 1
    row = RowScores("tuned", (trial, trial_of(0 * truth)))
    assert row_score(row, [masked], "boundary") == 0.5
    with pytest.raises(ValueError, match="dice"):
        fitting_score(trial, [plain], "dice")
