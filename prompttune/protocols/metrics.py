"""Scores as the owners of the sets compute them.

IoU, Dice and accuracy over a whole set are counted as mmsegmentation's `IoUMetric` counts them:
areas are added up over all images before they are divided. A class that neither truth nor answers
show has no value and is left out of means.

mIoU and FB-IoU of few-shot segmentation are counted as HSNet counts them: intersections and unions
are added up over all episodes of a class before they are divided, so that large objects weigh more.
mIoU is the mean of the foreground's IoU over the classes of the fold; FB-IoU adds up over the
classes too, and is the mean of foreground and background.
"""

from collections.abc import Iterable, Sequence

import numpy as np

Areas = np.ndarray
"""`3 x C int64`: of each class the intersection, the answer's and the truth's area."""


def areas_of(found: np.ndarray, truth: np.ndarray, classes: int, ignore: int) -> Areas:
    """Count one image.

    Args:
        found: `H x W` class indices from 0.
        truth: likewise; pixels of `ignore` do not count.
        classes: C; an index beyond them counts for no class, but its pixel counts.
        ignore: the value that does not count.
    """
    counted = truth != ignore
    found, truth = found[counted].astype(np.int64), truth[counted].astype(np.int64)
    kinds = found[found == truth], found, truth
    return np.stack([np.bincount(kind, minlength=classes)[:classes] for kind in kinds])


def semantic_scores(areas: Areas) -> dict[str, np.ndarray]:
    """Return `IoU`, `Dice` and `Acc` of each class (NaN where it has none), and `aAcc` of all."""
    both, found, truth = areas.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "IoU": both / (found + truth - both),
            "Dice": 2 * both / (found + truth),
            "Acc": both / truth,
            "aAcc": np.asarray(both.sum() / truth.sum()),
        }


def mean_of(values: np.ndarray, classes: Sequence[int] | None = None) -> float:
    """Return the mean over the classes that have a value; NaN where none has."""
    chosen = values if classes is None else values[list(classes)]
    defined = chosen[~np.isnan(chosen)]
    return float(defined.mean()) if len(defined) else float("nan")


Counts = tuple[int, int, int, int]
"""Intersection and union of the background, then of the foreground, pixels."""


def episode_counts(found: np.ndarray, truth: np.ndarray, ignored: np.ndarray | None) -> Counts:
    """Count one episode.

    Args:
        found: `H x W bool`.
        truth: likewise.
        ignored: `H x W bool`, pixels that do not count; None: all do.
    """
    if ignored is not None:
        found, truth = found[~ignored], truth[~ignored]
    both = int(np.count_nonzero(found & truth))
    either = int(np.count_nonzero(found | truth))
    return found.size - either, found.size - both, both, either


def foreground_iou(counts: Sequence[int]) -> float:
    """Return one episode's own IoU; 1 where nothing was to be found and nothing was."""
    return counts[2] / counts[3] if counts[3] else 1.0


def few_shot_scores(
    episodes: Iterable[tuple[int, Sequence[int]]], classes: Sequence[int]
) -> dict[str, float]:
    """Return `mIoU` and `FB-IoU` in [0, 1].

    Args:
        episodes: class and counts of each.
        classes: of the fold. One that no episode had counts as 0, as in HSNet's code.
    """
    total = {number: np.zeros(4, np.int64) for number in classes}
    for number, counts in episodes:
        total[number] += np.asarray(counts, np.int64)
    table = np.array([total[number] for number in classes], float)
    # HSNet divides by at least one pixel.
    foreground = table[:, 2] / np.maximum(table[:, 3], 1)
    sums = table.sum(0)
    with np.errstate(invalid="ignore"):
        fb_iou = float(((sums[0] / sums[1]) + (sums[2] / sums[3])) / 2)
    return {"mIoU": float(foreground.mean()), "FB-IoU": fb_iou}
