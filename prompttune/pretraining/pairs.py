"""Training samples: a prompt above a query, coloured by one random map (paper, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from prompttune.pretraining.generated import Task
from prompttune.pretraining.pool import IGNORE, ImageSet, Labelled, Labels

MAX_CLASSES = 3
View = tuple[np.ndarray, np.ndarray]  # S x S x 3 float32 in [0, 1], S x S uint8


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of samples and of masks, each in [0, 1]."""

    generated: float = 0.5
    """Samples with generated images; the rest are real."""
    hard: float = 0.7
    """Generated tasks in which more than a strong colour tells the classes apart."""
    unlabelled: float = 0.25
    """Real samples that use colour clusters instead of labels."""
    same_image: float = 0.4
    """Labelled samples whose two images are views of one."""
    half_masked: float = 0.6
    """Samples with the whole query hidden; in the rest random patches are."""
    patch_ratio: float = 0.75
    """Share of hidden patches in the latter."""
    foreground: float = 0.3
    """Least share of the loss that the coloured pixels have."""


class PairDataset(Dataset[dict[str, Tensor]]):
    """Endless pairs; sample i depends on `(seed, i)` alone, so a resumed run goes on exactly."""

    def __init__(
        self, sets: Sequence[ImageSet], canvas: int, patch: int, mix: Mix, seed: int
    ) -> None:
        self.sets = [one for one in sets if one.contexts]
        weights = np.array([one.config.weight for one in self.sets], float)
        self.weights = weights / weights.sum() if self.sets else weights
        self.canvas, self.patch, self.mix, self.seed = canvas, patch, mix, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return image, target (3 x 2S x S, pixel space), masked (tokens), weight (1 x 2S x S)."""
        rng = np.random.default_rng((self.seed, index))
        if not self.sets or rng.random() < self.mix.generated:
            task = Task.draw(rng, hard=rng.random() < self.mix.hard)
            views = [task.scene(rng, self.canvas) for _ in range(2)]
        else:
            views = self._real_views(rng)
        views = _recolour(rng, views)
        image = np.concatenate([view[0] for view in views])
        classes = np.concatenate([view[1] for view in views])
        target = random_colours(rng)[_choose_classes(rng, classes)]
        masked = self._mask(rng)
        weight = _weight(target, classes != IGNORE, masked, self.patch, self.mix.foreground)
        return {
            "image": torch.from_numpy(image).permute(2, 0, 1),
            "target": torch.from_numpy(target).permute(2, 0, 1),
            "masked": torch.from_numpy(masked.reshape(-1)),
            "weight": torch.from_numpy(weight)[None],
        }

    def _real_views(self, rng: Generator) -> list[View]:
        images = self.sets[rng.choice(len(self.sets), p=self.weights)]
        value, shown_by = images.contexts[rng.integers(len(images.contexts))]
        first, second = (images.images[i] for i in rng.choice(shown_by, 2, replace=False))
        if rng.random() < self.mix.unlabelled:
            value = rng.choice(list(first.segments.anchors))
            return [_crop(rng, first, first.segments, value, self.canvas) for _ in range(2)]
        if rng.random() < self.mix.same_image:
            second = first
        return [_crop(rng, one, one.classes, value, self.canvas) for one in (first, second)]

    def _mask(self, rng: Generator) -> np.ndarray:
        side = self.canvas // self.patch
        masked = np.zeros((2 * side, side), bool)
        if rng.random() < self.mix.half_masked:
            masked[side:] = True
        else:
            hidden = rng.permutation(masked.size)[: int(masked.size * self.mix.patch_ratio)]
            masked.reshape(-1)[hidden] = True
        return masked


def _crop(rng: Generator, labelled: Labelled, labels: Labels, value: int, size: int) -> View:
    """Cut a turned, scaled and mirrored square around a pixel of class `value`."""
    class_map = labels.class_map
    anchors = labels.anchors[value]
    extent = min(class_map.shape) * rng.uniform(0.35, 1.0)
    centre = anchors[rng.integers(len(anchors))] + rng.uniform(-0.35, 0.35, 2) * extent
    zoom, spin, mirror = size / extent, rng.normal(0, 0.3), rng.choice((-1, 1))
    turn = zoom * np.array(
        ((np.cos(spin) * mirror, -np.sin(spin)), (np.sin(spin) * mirror, np.cos(spin)))
    )
    affine = np.hstack((turn, (size / 2 - turn @ centre)[:, None]))
    image = labelled.images[0 if zoom > 0.6 else -1]
    from_image = affine.copy()
    from_image[:, :2] *= np.array(class_map.shape[::-1]) / image.shape[1::-1]
    pixels = cv2.warpAffine(
        image, from_image, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    classes = cv2.warpAffine(
        class_map, affine, (size, size), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
    )
    return pixels.astype(np.float32) / 255, classes


def _recolour(rng: Generator, views: list[View]) -> list[View]:
    """Change light and colour: strongly and alike for both images, then weakly for each."""
    mixing = np.eye(3, dtype=np.float32)
    if rng.random() < 0.4:
        mixing = mixing[rng.permutation(3)] + rng.normal(0, 0.2, (3, 3)).astype(np.float32)
    if rng.random() < 0.15:
        mixing = np.full((3, 3), 1 / 3, np.float32)
    invert = rng.random() < 0.2
    changed = []
    for image, classes in views:
        light = (1 - image if invert else image) @ mixing.T
        gain, shift = rng.normal(1, 0.12, 3) * rng.normal(1, 0.1), rng.normal(0, 0.05, 3)
        light = light * gain.astype(np.float32) + shift.astype(np.float32)
        if rng.random() < 0.2:
            light = np.asarray(cv2.GaussianBlur(light, (5, 5), rng.uniform(0.4, 1.2)))
        if rng.random() < 0.3:
            light = light + rng.uniform(0, 0.06) * rng.standard_normal(
                light.shape, dtype=np.float32
            )
        changed.append((np.clip(light, 0, 1).astype(np.float32), classes))
    return changed


def random_colours(rng: Generator) -> np.ndarray:
    """Draw the colours of `MAX_CLASSES` classes: `256 x 3 float32`, background and ignored black.

    None is so dark that it cannot be told from the background, no two are alike, and often they are
    corners of the colour cube, as palettes at inference are.
    """
    table = np.zeros((256, 3), np.float32)
    corners = rng.random() < 0.4
    if corners:
        cube = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(1, 8)], np.float32)
        order = rng.permutation(7)
        if rng.random() < 0.4:  # white, the colour of most one-class prompts, first
            order = np.array([6, *order[order != 6]])
        table[1 : MAX_CLASSES + 1] = cube[order[:MAX_CLASSES]]
        return table
    chosen = [np.zeros(3)]
    while len(chosen) <= MAX_CLASSES:
        colour = rng.random(3)
        if min(np.linalg.norm(colour - other) for other in chosen) > 0.45:
            chosen.append(colour)
    table[: MAX_CLASSES + 1] = chosen
    return table


def _choose_classes(rng: Generator, classes: np.ndarray) -> np.ndarray:
    """Keep one to three classes that both images show, as 1, 2, 3; the rest is background."""
    prompt, query = np.split(classes, 2)
    there = np.setdiff1d(np.intersect1d(prompt, query), (0, IGNORE))
    kept = rng.permutation(there)[: rng.integers(1, MAX_CLASSES + 1)]
    lookup = np.zeros(256, np.uint8)
    for position, value in enumerate(kept.tolist(), 1):
        lookup[int(value)] = position
    lookup[IGNORE] = IGNORE
    return lookup[classes]


def _weight(
    target: np.ndarray, valid: np.ndarray, masked: np.ndarray, patch: int, foreground: float
) -> np.ndarray:
    """Weigh the hidden, valid pixels so that coloured ones have at least the share `foreground`."""
    hidden = np.kron(masked, np.ones((patch, patch), bool)) & valid
    coloured = hidden & (target.max(-1) > 0)
    share = coloured.sum() / max(hidden.sum(), 1)
    boost = 1.0
    if 0 < share < foreground:  # at most tenfold: a handful of pixels must not be the whole loss
        boost = min(10.0, foreground * (1 - share) / (share * (1 - foreground)))
    return np.where(coloured, boost, 1.0).astype(np.float32) * hidden
