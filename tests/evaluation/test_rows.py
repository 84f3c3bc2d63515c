"""The rows: what each asks the segmenter."""

import math

import pytest
from benches import PIXELS, dice_of, make_bench, missed, scored


def test_the_other_prompted_rows(fakes):
    rows = scored(make_bench(fakes, fakes.FakeSegmenter(missed)), "feature", "tuned")
    assert rows["feature"].mean.dice == pytest.approx(dice_of(6))
    assert rows["feature"].prompts == 8
    assert rows["tuned"].mean.dice == pytest.approx(dice_of(2))
    assert rows["tuned"].prompts == 1
    assert math.isnan(rows["tuned"].dice_sd)


def test_flips_are_asked_for_by_their_own_row_alone(fakes):
    segmenter = fakes.FakeSegmenter(missed)
    rows = scored(make_bench(fakes, segmenter), "tuned", "tuned-flips")
    assert segmenter.flips == [False] * (len(segmenter.flips) // 2) + [True] * (
        len(segmenter.flips) // 2
    )
    assert rows["tuned-flips"].mean.dice == pytest.approx(dice_of(2))


def test_trivial_rows(fakes):
    rows = scored(make_bench(fakes, fakes.FakeSegmenter(missed)), "all-foreground", "nearest-color")
    share = PIXELS / fakes.SIDE**2
    assert rows["all-foreground"].mean.dice == pytest.approx(2 * share / (1 + share))
    assert rows["all-foreground"].mean.auc == 0.5
    assert rows["all-foreground"].prompts == 0
    assert rows["nearest-color"].mean.dice == 1  # red tells all in these images
    assert len(rows["nearest-color"].trials) == 5
