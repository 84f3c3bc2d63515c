"""Scores that fit what overlap does not: lines by their distance, things by how many are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.comparison import RowScores, Trial
from prompttune.evaluation.davis import edge_agreement
from prompttune.evaluation.metrics import counted_pixels
from prompttune.evaluation.panoptic import Segment, panoptic_stats

Score = Literal["dice", "boundary", "pq"]
TITLES = {"boundary": "boundary F", "pq": "PQ"}
TOLERANCE = 2
"""Pixels that a line may be off (BSDS, DAVIS and COCO's boundary scores have such a tolerance)."""
MIN_AREA = 16
"""Pixels; what is smaller is no thing."""


def boundary_f(predicted: np.ndarray, truth: np.ndarray, tolerance: int = TOLERANCE) -> float:
    """Return the F-measure of borders: the share of each that lies near the other.

    Args:
        predicted: `H x W bool`.
        truth: `H x W bool`.
        tolerance: pixels, Euclidean.

    Returns:
        In [0, 1]: 1 where neither has a border, 0 where one alone has.
    """
    return edge_agreement(_border(predicted), _border(truth), tolerance)


def _border(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that have a neighbor outside it, `H x W bool`."""
    plane = mask.astype(np.uint8)
    inner = cv2.erode(plane, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return (plane > 0) & (inner == 0)


@dataclass(frozen=True)
class Panoptic:
    """What panoptic quality is made of (arXiv 1801.00868)."""

    overlap: float
    """The sum of the IoU of matched things."""
    matched: int
    missed: int
    false: int

    def __add__(self, other: "Panoptic") -> "Panoptic":
        return Panoptic(
            self.overlap + other.overlap, self.matched + other.matched,
            self.missed + other.missed, self.false + other.false,
        )  # fmt: skip

    @property
    def quality(self) -> float:
        """PQ, in [0, 1]; 1 where there is nothing and nothing was found."""
        things = self.matched + 0.5 * (self.missed + self.false)
        return self.overlap / things if things else 1.0


def match_things(predicted: np.ndarray, truth: np.ndarray) -> Panoptic:
    """Match numbered things whose IoU is above a half: each has one partner at most.

    Args:
        predicted: `H x W` integers, 0 is none.
        truth: likewise.
    """
    # Beside things there is the ground: a category of its own, since 0 would be void there.
    maps = predicted.astype(np.int64) + 1, truth.astype(np.int64) + 1
    segments = [{n: Segment(int(n > 1)) for n in np.unique(each).tolist()} for each in maps]
    stats = panoptic_stats(maps[0], segments[0], maps[1], segments[1])
    overlap, matched, false, missed = stats.get(1, [0.0] * 4)
    return Panoptic(overlap, int(matched), int(missed), int(false))


def things_of(class_map: np.ndarray, least_area: int = MIN_AREA) -> np.ndarray:
    """Number the things of a map of insides (1) and borders (2): each inside with its border.

    Returns:
        `H x W int32`, 0 is none. A border pixel belongs to the nearest inside.
    """
    inside = (class_map == 1).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    small = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] < least_area]
    labels[np.isin(labels, small)] = 0
    if not labels.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(nearest.max()) + 1, labels.dtype)
    owner[nearest[labels > 0]] = labels[labels > 0]
    return np.where((labels == 0) & (class_map == 2), owner[nearest], labels)


def row_score(row: RowScores, samples: Sequence[LoadedSample], score: Score) -> float:
    """Return the mean of `fitting_score` over the trials of a row."""
    return float(np.mean([fitting_score(trial, samples, score) for trial in row.trials]))


def fitting_score(trial: Trial, samples: Sequence[LoadedSample], score: Score) -> float:
    """Return the score that fits a task, over the test images of a comparison.

    `boundary` is the mean over images and shown classes, `pq` that of all things together.

    Raises:
        ValueError: `dice`, which a trial has already.
    """
    pooled, values = Panoptic(0.0, 0, 0, 0), []
    for index, sample in enumerate(samples):
        counted = counted_pixels(sample.class_map, sample.field_of_view)
        truth = np.where(counted, sample.class_map, 0)
        decided = np.where(counted, trial.class_map(index, truth.shape), 0)
        if score == "pq":
            pooled += match_things(things_of(decided), things_of(truth))
        elif score == "boundary":
            shown = np.unique(truth[truth > 0])
            values += [boundary_f(decided == each, truth == each) for each in shown]
        else:
            raise ValueError(score)
    return pooled.quality if score == "pq" else float(np.mean(values)) if values else 1.0
