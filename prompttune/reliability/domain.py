"""Whether an image is like those that a key was learned from, by its backbone features.

A key keeps a few centroids of the features of windows of its training images. A window is as far
from them as from the nearest centroid (squared, in units of what is usual for a training window),
an image as its nearest quarter of windows: a harbor is like streets where a part of it shows some.

No image can be read back from a summary: the features of a window are a mean over all its places,
and a centroid is the mean of at least two windows, in half precision.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CENTERS = 8
NEAREST_SHARE = 0.25
"""Of an image's windows: where its distance is taken."""
USUAL_SHARE, FACTOR = 0.9, 2.0
"""The limit: this much times the distance that this share of the held-out images does not pass."""


@dataclass(frozen=True, eq=False)
class Domain:
    """A summary of the images that a key was learned from."""

    centers: np.ndarray
    """K x D `float32`: the centroids."""
    width: float
    """The mean squared distance of a training window from its centroid, above 0."""
    limit: float
    """The largest distance of an image that counts as alike, above 0."""

    def distance(self, features: np.ndarray) -> float:
        """Return how far an image lies from the training images; some 1 is usual for one of them.

        Args:
            features: W x D, of the image's windows.
        """
        apart = ((features[:, None] - self.centers) ** 2).sum(-1).min(1)
        return float(np.quantile(apart, NEAREST_SHARE)) / self.width

    def unlikeness(self, features: np.ndarray) -> float:
        """Return the distance in units of the limit: above 1 an image is unlike the others."""
        return self.distance(features) / self.limit


def fit_domain(features: np.ndarray, held_out: Sequence[np.ndarray]) -> Domain:
    """Summarize training images.

    Args:
        features: M x D, of windows of the training images; M at least 1.
        held_out: of images that were not among them, W x D of the windows of each; they set the
            limit.

    Returns:
        The summary, rounded as a key keeps it.
    """
    centers = _centers(features.astype(np.float32)).astype(np.float16).astype(np.float32)
    apart = ((features[:, None] - centers) ** 2).sum(-1).min(1)
    # A single window has no width: a hundredth of its features' own spread stands in.
    width = max(float(apart.mean()), 0.01 * float(features.var()), 1e-6)
    summary = Domain(centers, round(width, 6), 1.0)
    usual = [summary.distance(each) for each in held_out] or [1.0]
    limit = FACTOR * max(float(np.quantile(usual, USUAL_SHARE)), 0.5)
    return Domain(centers, summary.width, round(limit, 4))


def _centers(features: np.ndarray) -> np.ndarray:
    from scipy.cluster.vq import kmeans2

    count = max(1, min(CENTERS, len(features) // 4))
    start = features[_spread(features, count)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # it is left out below
        _, nearest = kmeans2(features, start, minit="matrix")
    groups = [features[nearest == index] for index in range(len(start))]
    kept = [group.mean(0) for group in groups if len(group) > 1]
    return np.stack(kept or [features.mean(0)])


def _spread(features: np.ndarray, count: int) -> list[int]:
    """Choose windows far from each other: first the most central one, then the farthest."""
    apart = ((features - features.mean(0)) ** 2).sum(1)
    chosen = [int(apart.argmin())]
    nearest = ((features - features[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(1))
    return chosen
