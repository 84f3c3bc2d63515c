"""Training samples: a prompt above a query, colored by one random map (paper, section 3.1)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from prompttune.pretraining import sampling as contexts
from prompttune.pretraining.coloring import choose_classes, is_valid, paint
from prompttune.pretraining.sampling import INSTANCE, SEMANTIC, Context, View
from prompttune.pretraining.sources.pool import ImageSet
from prompttune.pretraining.transforms import recolor
from prompttune.synthetic.lines import contours
from prompttune.utils.errors import InputError
from prompttune.utils.renamed import takes_old_names

_TILE = 0.7
"""Side of a stitched image, in sides of the sample; two by two of them are stitched."""


def mixed_views(rng: Generator, contexts: list[Context], size: int) -> tuple[View, View]:
    """Return prompt and query, each a crop of four stitched views.

    With one context all four show it; with two each shows in two of them, and the values of the
    second are raised by 256 (so class maps are uint16). The order of the four differs.
    """
    halves = [_stitched(rng, contexts, half, size) for half in range(2)]
    return halves[0], halves[1]


def _stitched(rng: Generator, contexts: list[Context], half: int, size: int) -> View:
    side = round(_TILE * size)
    image = np.empty((2 * side, 2 * side, 3), np.float32)
    classes = np.empty((2 * side, 2 * side), np.uint16)
    for tile, place in enumerate(rng.permutation(4).tolist()):
        which = tile % len(contexts)
        pixels, values = contexts[which].view(rng, half, side)
        at = np.s_[place // 2 * side :, place % 2 * side :]
        image[at][:side, :side] = pixels
        classes[at][:side, :side] = values + np.uint16(256 * which)
    extent = int(rng.uniform(0.8 * size, 2 * side))
    row, column = rng.integers(0, 2 * side - extent + 1, 2)
    window = np.s_[row : row + extent, column : column + extent]
    return (
        np.asarray(cv2.resize(image[window], (size, size), interpolation=cv2.INTER_LINEAR)),
        np.asarray(
            cv2.resize(classes[window], (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
        ),
    )


MAX_CLASSES = 12
_TRIES = 3
"""So often a sample is drawn until both images show something in common."""


@takes_old_names(unlabelled="unlabeled", colours="colors")
@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of samples and of masks, each in [0, 1], and how classes are colored."""

    generated: float = 0.5
    """Samples with generated images; the rest are real."""
    hard: float = 0.7
    """Generated tasks in which more than a strong color tells the classes apart."""
    unlabeled: float = 0.25
    """Real samples that use color clusters or regions instead of labels."""
    same_image: float = 0.4
    """Samples of classes whose two images are views of one."""
    instances: float = 0.15
    """Samples of single things, of those whose source knows any; always views of one image."""
    mix_context: float = 0.15
    """Samples of classes that are crops of several images stitched together."""
    contours: float = 0.05
    """Samples of classes that ask for the edges of things, not for the things."""
    appearance: float = 0.0
    """Real samples, made on the device, that ask for what answers a simple filter."""
    overlaid: float = 0.0
    """Real samples, made on the device, with generated shapes laid over them."""
    max_classes: int = 6
    """Most classes, or instances, that a sample colors; one is the most frequent number."""
    colors: Literal["random", "fixed"] = "random"
    """Random: drawn for every sample. Fixed: a class value always has the same color."""
    half_masked: float = 0.6
    """Samples with the whole query hidden; in the rest random patches are."""
    patch_ratio: float = 0.75
    """Share of hidden patches in the latter."""
    foreground: float = 0.3
    """Least share of the loss that the colored pixels have."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value <= 1:
                raise InputError(f"mix.{name} is a share between 0 and 1, not {value}")
        if not 1 <= self.max_classes <= MAX_CLASSES:
            raise InputError(
                f"mix.max_classes must be 1 to {MAX_CLASSES} (more colors than that are hard to "
                f"tell apart), not {self.max_classes}"
            )


class PairDataset(Dataset[dict[str, Tensor]]):
    """Endless pairs; sample i depends on `(seed, i)` alone, so a resumed run goes on exactly."""

    def __init__(
        self, sets: Sequence[ImageSet], canvas: int, patch: int, mix: Mix, seed: int
    ) -> None:
        self.sets = [one for one in sets if one.images]
        weights = np.array([one.weight for one in self.sets], float)
        self.weights = weights / weights.sum() if self.sets else weights
        self.canvas, self.patch, self.mix, self.seed = canvas, patch, mix, seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return one sample.

        `image` and `target`: float32 3 x 2S x S, pixel space in [0, 1]; `masked`: bool, one for
        every token of the target; `weight`: float32 1 x 2S x S, 0 where nothing is asked;
        `seg_type`: int64, 0 semantic or 1 instance.
        """
        rng = np.random.default_rng((self.seed, index))
        for _ in range(_TRIES):
            context = self._context(rng)
            views = self._views(rng, context)
            classes = [view[1] for view in views]
            if context.seg_type == SEMANTIC and rng.random() < self.mix.contours:
                width = int(rng.integers(2, 4 + self.canvas // 32))
                classes = [contours(half, width) for half in classes]
            chosen = choose_classes(rng, classes, self.mix.max_classes)
            if len(chosen):
                break
        image = np.concatenate(recolor(rng, [view[0] for view in views]))
        class_map = np.concatenate(classes)
        target = paint(rng, class_map, chosen, self.mix.colors == "fixed")
        masked = self._mask(rng)
        weight = _weight(target, is_valid(class_map), masked, self.patch, self.mix.foreground)
        return {
            "image": torch.from_numpy(image).permute(2, 0, 1),
            "target": torch.from_numpy(target).permute(2, 0, 1),
            "masked": torch.from_numpy(masked.reshape(-1)),
            "weight": torch.from_numpy(weight)[None],
            "seg_type": torch.from_numpy(np.array(context.seg_type, np.int64)),
        }

    def _views(self, rng: Generator, context: Context) -> Sequence[View]:
        if context.seg_type == INSTANCE or rng.random() >= self.mix.mix_context:
            return [context.view(rng, half, self.canvas) for half in range(2)]
        several = [context]
        if rng.random() < 0.5:
            other = self._context(rng)
            if other.seg_type == SEMANTIC:
                several.append(other)
        return mixed_views(rng, several, self.canvas)

    def _context(self, rng: Generator) -> Context:
        mix = self.mix
        instances = rng.random() < mix.instances
        same_image = rng.random() < mix.same_image
        if not self.sets or rng.random() < mix.generated:
            hard = rng.random() < mix.hard
            if instances or same_image:
                return contexts.generated_image(rng, hard, self.canvas, instances)
            return contexts.generated_context(rng, hard)
        images = self.sets[rng.choice(len(self.sets), p=self.weights)]
        if rng.random() < mix.unlabeled or not images.contexts:
            image = images.images[rng.integers(len(images.images))]
            return contexts.segment_context(rng, image, instances)
        if instances and images.with_instances:
            image = images.images[rng.choice(images.with_instances)]
            return contexts.instance_context(rng, image)
        return contexts.class_context(rng, images, same_image)

    def _mask(self, rng: Generator) -> np.ndarray:
        side = self.canvas // self.patch
        masked = np.zeros((2 * side, side), bool)
        if rng.random() < self.mix.half_masked:
            masked[side:] = True
        else:
            hidden = rng.permutation(masked.size)[: int(masked.size * self.mix.patch_ratio)]
            masked.reshape(-1)[hidden] = True
        return masked


def _weight(
    target: np.ndarray, valid: np.ndarray, masked: np.ndarray, patch: int, foreground: float
) -> np.ndarray:
    """Weigh the hidden, valid pixels so that colored ones have at least the share `foreground`."""
    hidden = masked.repeat(patch, 0).repeat(patch, 1) & valid
    colored = hidden & (target.max(-1) > 0)
    share = int(colored.sum()) / max(int(hidden.sum()), 1)
    boost = 1.0
    if 0 < share < foreground:  # at most tenfold: a handful of pixels must not be the whole loss
        boost = min(10.0, foreground * (1 - share) / (share * (1 - foreground)))
    return np.where(colored, np.float32(boost), np.float32(1)) * hidden
