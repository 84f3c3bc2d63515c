"""Whether an image is like those that a key was learned from, by its backbone features.

A Gaussian is laid through the features of windows of the training images: their mean, the directions
in which they spread most, and one variance for all others (probabilistic principal components,
Tipping and Bishop 1999). An image's distance is the Mahalanobis distance of its windows' mean, the
score that Lee et al. (NeurIPS 2018, arXiv 1807.03888) tell images of other data by.

Nothing of an image can be read back from it: a window's features are a mean over all its places, and
of these means, over all windows, no more than nine directions are kept, in half precision.
"""

from dataclasses import dataclass

import numpy as np

DIRECTIONS = 8
LEAST_LIMIT_FACTOR = 1.5
"""Of the farthest image that was held out: how much farther one may lie and still be alike."""


@dataclass(frozen=True, eq=False)
class Domain:
    """A summary of the images that a key was learned from."""

    mean: np.ndarray
    """D, `float32`: of the windows' features."""
    directions: np.ndarray
    """K x D, `float32`, of unit length: where they spread most; K may be 0."""
    variances: np.ndarray
    """K + 1, `float32`, above 0: along each direction, and along any other."""
    limit: float
    """The largest distance of an image that counts as alike."""

    def distance(self, features: np.ndarray) -> float:
        """Return how far an image lies from the training images: 1 is usual for a window of theirs.

        Args:
            features: W x D, of the image's windows.
        """
        offset = features.mean(0) - self.mean
        along = self.directions @ offset
        rest = max(0.0, float(offset @ offset - along @ along))
        *spread, other = self.variances
        total = float((along**2 / np.array(spread, np.float32)).sum()) + rest / other
        return total / len(offset)

    def holds(self, distance: float) -> bool:
        """Say whether an image at this distance counts as alike."""
        return distance <= self.limit


def fit_domain(features: np.ndarray, held_out: list[np.ndarray]) -> Domain:
    """Summarize training images.

    Args:
        features: M x D, of windows of the training images; M at least 1.
        held_out: of images that were not among them, W x D of the windows of each: the farthest sets
            the limit.

    Returns:
        The summary, rounded as a key keeps it.
    """
    mean = features.mean(0)
    _, spread, directions = np.linalg.svd(features - mean, full_matrices=False)
    count = max(0, min(DIRECTIONS, len(features) - 2))
    variances = spread**2 / max(1, len(features) - 1)
    other = variances[count:].sum() / max(1, len(mean) - count)
    # A single window has no spread: that of the features themselves stands in.
    floor = max(float(other), 1e-3 * float(features.var()), 1e-8)
    kept = np.concatenate((variances[:count] + floor, [floor]))
    summary = Domain(_half(mean), _half(directions[:count]), kept.astype(np.float32), np.inf)
    distances = [summary.distance(each) for each in held_out] or [summary.distance(features)]
    limit = LEAST_LIMIT_FACTOR * max(distances)
    return Domain(summary.mean, summary.directions, summary.variances, round(float(limit), 4))


def _half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)
