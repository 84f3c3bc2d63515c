"""Which few training images together show all classes: the start of a prompt of several images."""

from collections.abc import Sequence

import numpy as np

from prompttune.data.layouts import LoadedSample
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError


def pixel_counts(samples: Sequence[LoadedSample], classes: int) -> np.ndarray:
    """Count the pixels of each class in the field of view of each image, reading each once.

    Args:
        samples: images with class maps.
        classes: how many; class map value i is the i-th.

    Returns:
        `images x classes` integers.
    """
    counts = np.zeros((len(samples), classes), np.int64)
    for row, sample in zip(counts, samples, strict=True):
        view = sample.field_of_view
        seen = sample.class_map.ravel() if view is None else sample.class_map[view > 0]
        row[:] = np.bincount(seen, minlength=IGNORE + 1)[1 : classes + 1]
    return counts


def covering(counts: np.ndarray, number: int, seed: int) -> list[int]:
    """Choose images that together show all classes, as far as so many can.

    The class that the chosen images show least often comes next, by the image that shows most of
    it; of equals a random one. Images are chosen twice only where too few show a class.

    Args:
        counts: `images x classes`, the pixels of each.
        number: how many images, at least 1.
        seed: of the order of equals.

    Returns:
        Indices of images.

    Raises:
        InputError: no image shows a class.
    """
    order = np.random.default_rng(seed).permutation(len(counts))
    showing = [int(index) for index in order if counts[index].any()]
    if not showing:
        raise InputError("init 'example' needs training images that show a class; none does")
    times, chosen = np.zeros(counts.shape[1], int), list[int]()
    while len(chosen) < number:
        left = [index for index in showing if index not in chosen] or showing
        known = np.flatnonzero((counts[left] > 0).any(0))
        label = min(known, key=lambda each: times[each])
        chosen.append(max(left, key=lambda index: counts[index][label]))
        times += counts[chosen[-1]] > 0
    return chosen
