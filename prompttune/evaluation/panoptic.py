"""Panoptic quality, as COCO's panopticapi computes it (Kirillov et al. 2019).

A segment of the answer matches one of the truth of the same category where their IoU is above one
half; void pixels of the truth do not count in it. What matches nothing is false, unless more than
half of it lies in void or in a crowd of its category.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prompttune.utils.errors import InputError

VOID, OFFSET = 0, 2**24
Stats = dict[int, list[float]]
"""Of a category the sum of the matched IoUs, and how many are matched, false, and missed."""


@dataclass(frozen=True)
class Segment:
    """One segment of an image."""

    category: int
    is_crowd: bool = False


def panoptic_stats(
    found: np.ndarray,
    segments: Mapping[int, Segment],
    truth: np.ndarray,
    true_segments: Mapping[int, Segment],
) -> Stats:
    """Match the segments of one image.

    Args:
        found: `H x W` segment numbers, 0 is void.
        segments: of the answer, by number.
        truth: likewise.
        true_segments: of the truth.

    Raises:
        InputError: maps of different sizes, or numbers that name no segment of the answer.
    """
    if found.shape != truth.shape:
        sizes = [f"{each.shape[1]} x {each.shape[0]}" for each in (found, truth)]
        raise InputError(f"panoptic: answer of {sizes[0]}, but truth of {sizes[1]}")
    shared = _counts(truth.astype(np.int64) * OFFSET + found.astype(np.int64))
    overlaps = {divmod(pair, OFFSET): count for pair, count in shared.items()}
    areas, true_areas = _counts(found), _counts(truth)
    unknown = set(areas) - set(segments) - {VOID}
    if unknown:
        raise InputError(f"panoptic: segments {sorted(unknown)} of the answer have no category")
    stats: Stats = {}
    matched, true_matched = set(), set()
    for (true_id, own_id), both in overlaps.items():
        one, other = true_segments.get(true_id), segments.get(own_id)
        if one is None or other is None or one.is_crowd or one.category != other.category:
            continue
        union = areas[own_id] + true_areas[true_id] - both - overlaps.get((VOID, own_id), 0)
        if both / union > 0.5:
            _add(stats, one.category, 0, both / union)
            _add(stats, one.category, 1)
            matched.add(own_id)
            true_matched.add(true_id)
    crowds = {one.category: number for number, one in true_segments.items() if one.is_crowd}
    for number, one in true_segments.items():
        if number not in true_matched and not one.is_crowd:
            _add(stats, one.category, 3)
    for number, other in segments.items():
        if number in matched or number not in areas:
            continue
        beside = overlaps.get((VOID, number), 0)
        if other.category in crowds:
            beside += overlaps.get((crowds[other.category], number), 0)
        if beside / areas[number] <= 0.5:
            _add(stats, other.category, 2)
    return stats


def panoptic_quality(images: Iterable[Stats], categories: Sequence[int]) -> dict[str, Any]:
    """Return `PQ`, `SQ` and `RQ`, means over the categories that occur, and how many those are."""
    total = {category: np.zeros(4) for category in categories}
    for stats in images:
        for category, values in stats.items():
            if category in total:
                total[category] += values
    rows = []
    for iou, matched, false, missed in total.values():
        if matched + false + missed:
            whole = matched + (false + missed) / 2
            rows.append((iou / whole, iou / matched if matched else 0.0, matched / whole))
    means = np.mean(rows, axis=0).tolist() if rows else [0.0, 0.0, 0.0]
    return {**dict(zip(("PQ", "SQ", "RQ"), means, strict=True)), "categories": len(rows)}


def _counts(values: np.ndarray) -> dict[int, int]:
    numbers, counts = np.unique(values, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _add(stats: Stats, category: int, place: int, value: float = 1.0) -> None:
    stats.setdefault(category, [0.0, 0.0, 0.0, 0.0])[place] += value
