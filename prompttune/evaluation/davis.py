"""J, F and J&F of a video, as DAVIS defines them (Perazzi et al. 2016, Pont-Tuset et al. 2017).

As in DAVIS 2017's semi-supervised protocol the first frame, whose mask is given, and the last one
are left out; J and F are averaged over frames, then over objects, and J&F is the mean of the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from skimage.morphology import disk

from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

TOLERANCE = 0.008
"""Of the image's diagonal: how far apart two boundaries may lie and still count as equal."""


@dataclass(frozen=True)
class ObjectScores:
    """What one object scored in the frames that count, in order; each in [0, 1]."""

    region: tuple[float, ...]
    """J of each frame."""
    boundary: tuple[float, ...]
    """F of each frame."""

    @property
    def j(self) -> float:
        """Mean J."""
        return float(np.mean(self.region))

    @property
    def f(self) -> float:
        """Mean F."""
        return float(np.mean(self.boundary))

    @property
    def j_and_f(self) -> float:
        """Mean of J and F."""
        return (self.j + self.f) / 2


@dataclass
class VideoScores:
    """Adds up J and F frame by frame, so that no frame need be kept.

    Args:
        objects: how many; the classes 1..`objects` of the masks.
    """

    objects: int
    _frames: list[list[tuple[float, float]]] = field(default_factory=list)

    def add(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Add one frame, the first and the last too.

        Args:
            found: `H x W` class indices.
            truth: likewise; pixels of value 255 do not count.

        Raises:
            InputError: maps of different sizes.
        """
        if found.shape != truth.shape:
            sizes = [" x ".join(map(str, map_.shape)) for map_ in (found, truth)]
            raise InputError(f"frame {len(self._frames)}: {sizes[0]} found, but truth {sizes[1]}")
        counts = truth != IGNORE
        self._frames.append(
            [
                (region_similarity(one, other), boundary_accuracy(one, other))
                for number in range(1, self.objects + 1)
                for one, other in [((found == number) & counts, truth == number)]
            ]
        )

    def result(self) -> list[ObjectScores]:
        """Return the scores of each object, without the first and the last frame.

        Raises:
            InputError: fewer than three frames.
        """
        if len(self._frames) < 3:
            raise InputError(
                f"{len(self._frames)} frames: the first and the last do not count, so give three"
            )
        return [
            ObjectScores(*(tuple(values) for values in zip(*frames, strict=True)))
            for frames in zip(*self._frames[1:-1], strict=True)
        ]


def mean_scores(objects: Iterable[ObjectScores]) -> tuple[float, float, float]:
    """Return J&F, J and F, averaged over objects (of one video or of several)."""
    means = np.mean([(each.j_and_f, each.j, each.f) for each in objects], axis=0)
    return float(means[0]), float(means[1]), float(means[2])


def region_similarity(found: np.ndarray, truth: np.ndarray) -> float:
    """Return J, the intersection over the union of two `H x W bool` masks; 1 where both are empty.

    Perazzi et al. 2016, section 5.1.
    """
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def boundary_accuracy(found: np.ndarray, truth: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """Return F, the harmonic mean of a boundary's precision and recall.

    A boundary pixel is right if one of the other mask lies within `tolerance` of the diagonal,
    rounded up to whole pixels: the other boundary is dilated by a disk, as in DAVIS' own code.
    A mask without a boundary has precision (or recall) 1 where the other has none either, and
    leaves nothing to find, so that F is 0, where the other has one.

    Args:
        found: `H x W bool`.
        truth: likewise.
        tolerance: share of the diagonal.
    """
    radius = int(np.ceil(tolerance * np.hypot(*found.shape)))
    return edge_agreement(boundary(found), boundary(truth), radius)


def edge_agreement(edges: np.ndarray, true_edges: np.ndarray, radius: int) -> float:
    """Return the harmonic mean of the shares of two sets of edge pixels that lie near the other.

    Args:
        edges: `H x W bool`.
        true_edges: likewise.
        radius: pixels, Euclidean, that count as near.

    Returns:
        In [0, 1]: 1 where both are empty, 0 where one alone is.
    """
    if not edges.any() or not true_edges.any():
        return float(edges.any() == true_edges.any())
    precision = _share_near(edges, true_edges, radius)
    recall = _share_near(true_edges, edges, radius)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def boundary(mask: np.ndarray) -> np.ndarray:
    """Mark pixels that differ from the one to the right, below, or right below, `H x W bool`.

    DAVIS' `seg2bmap`: a boundary is one pixel wide, and the image's own border is none.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def _share_near(edges: np.ndarray, others: np.ndarray, radius: int) -> float:
    near = cv2.dilate(others.astype(np.uint8), disk(radius)) > 0
    return float((edges & near).sum() / edges.sum())
