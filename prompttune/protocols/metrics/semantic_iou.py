"""IoU, Dice and accuracy over a whole set, as mmsegmentation's `IoUMetric` counts them.

Areas are added up over all images before they are divided. A class that neither truth nor answers
show has no value and is left out of means.
"""

from collections.abc import Sequence

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
