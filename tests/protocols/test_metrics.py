"""Our scores beside those of the sets' owners: their code gave the numbers in `expected/`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import synthetic

from prompttune.evaluation.davis import VideoScores, boundary_accuracy, mean_scores
from prompttune.evaluation.davis import region_similarity as region
from prompttune.evaluation.panoptic import Segment, panoptic_quality, panoptic_stats
from prompttune.protocols.metrics import (
    areas_of,
    episode_counts,
    few_shot_scores,
    mean_of,
    semantic_scores,
)
from prompttune.utils.errors import InputError

Expected = Callable[[str], dict[str, Any]]
CLOSE = {"rel": 0, "abs": 1e-6}


def test_episodes_beside_hsnet(expected: Expected) -> None:
    theirs = expected("hsnet_scores")
    counts = []
    for found, truth, ignored in synthetic.binary_cases():
        skipped = None if ignored is None else ignored & ~truth  # as its masks are
        counts.append(episode_counts(found, truth, skipped))
    assert [list(each) for each in counts] == theirs["counts"]
    labels = [5 + number % 4 for number in range(len(counts))]
    scores = few_shot_scores(zip(labels, counts, strict=True), [5, 6, 7, 8, 9])
    assert scores["mIoU"] == pytest.approx(theirs["miou"], **CLOSE)
    assert scores["FB-IoU"] == pytest.approx(theirs["fb_iou"], **CLOSE)


def test_pairs_beside_davis(expected: Expected) -> None:
    for (found, truth, _), (j, f) in zip(
        synthetic.binary_cases(), expected("davis")["pairs"], strict=True
    ):
        assert region(found, truth) == pytest.approx(j, **CLOSE)
        assert boundary_accuracy(found, truth) == pytest.approx(f, **CLOSE)


def test_a_video_beside_davis(expected: Expected) -> None:
    theirs = expected("davis")
    found, truth = synthetic.video()
    scores = VideoScores(3)
    for one, other in zip(found, truth, strict=True):
        scores.add(one, np.where(other == 255, 0, other))
    for one, j, f in zip(scores.result(), theirs["j"], theirs["f"], strict=True):
        assert one.region == pytest.approx(j, **CLOSE)
        assert one.boundary == pytest.approx(f, **CLOSE)
    means = mean_scores(scores.result())
    assert means == pytest.approx((theirs["JF"], theirs["J"], theirs["F"]), **CLOSE)


def segments(given: dict[int, tuple[int, bool]]) -> dict[int, Segment]:
    return {number: Segment(*kind) for number, kind in given.items()}


def test_segments_beside_panopticapi(expected: Expected) -> None:
    theirs = expected("panoptic")
    each = [
        panoptic_stats(found, segments(own), truth, segments(true))
        for found, own, truth, true in synthetic.panoptic_cases()
    ]
    for stats, want in zip(each, theirs["images"], strict=True):
        assert {str(category) for category in stats} == set(want)
        for category, values in stats.items():
            assert values == pytest.approx(want[str(category)], **CLOSE)
    assert any(values[1] and values[2] and values[3] for one in each for values in one.values())
    for name, own in (("all", [1, 2, 3, 100]), ("things", [1, 2, 3]), ("stuff", [100])):
        quality = panoptic_quality(each, own)
        assert list(quality.values()) == pytest.approx(theirs["quality"][name], **CLOSE)


def test_panoptic_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="4 x 3, but truth of 5 x 3"):
        panoptic_stats(np.zeros((3, 4), int), {}, np.zeros((3, 5), int), {})
    with pytest.raises(InputError, match="segments \\[2\\]"):
        panoptic_stats(np.full((3, 4), 2), {}, np.zeros((3, 4), int), {})


def test_areas_beside_mmsegmentation(expected: Expected) -> None:
    theirs = expected("mmsegmentation")
    areas = sum(areas_of(*pair, 6, 255) for pair in synthetic.semantic_cases())
    scores = semantic_scores(areas)
    for name in ("IoU", "Acc", "Dice"):
        want = [np.nan if value is None else value for value in theirs[name.lower()]]
        assert scores[name] == pytest.approx(want, nan_ok=True, **CLOSE)
        assert mean_of(scores[name]) == pytest.approx(theirs[f"m{name.lower()}"], **CLOSE)
    assert np.isnan(scores["IoU"][5]), "the last class never occurs"
    assert float(scores["aAcc"]) == pytest.approx(theirs["aacc"], **CLOSE)


def test_each_says_where_its_numbers_come_from(expected: Expected) -> None:
    for name in ("hsnet_scores", "hsnet_episodes", "insid3_episodes", "davis", "panoptic"):
        assert len(expected(name)["commit"]) == 40
