"""A starting prompt of many classes: a mosaic of cut-outs, one a class.

One image rarely shows more than a few of many classes, so a prompt that starts from it knows
nothing of the others. The mosaic shows each: the canvas is a grid of cells, and a cell holds the
part of a training image that shows its class best, at the scale at which queries are seen.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from prompttune.data.layouts import LoadedSample
from prompttune.prompts.examples import crop_most_foreground
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.recipe import Recipe
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor
from prompttune.utils.tiling import tiled

MAX_LOOKED_AT = 500
"""Training images, for each of several mosaics."""


def mosaic(recipe: Recipe, canvas: int, train: Sequence[LoadedSample]) -> Prompt:
    """Return a prompt of `recipe.prompts` mosaics of all classes.

    Images are looked at in a random order until each class fills half of its cell in one of them.
    Classes that none shows leave their cells to the others.

    Args:
        recipe: names classes, scale, and seed.
        canvas: side of a mosaic.
        train: images with class maps, 255 where pixels do not count.

    Returns:
        A prompt at the recipe's scale; its images hold parts of training images.

    Raises:
        InputError: no image shows a class.
    """
    count = len(recipe.classes)
    side = math.isqrt(count - 1) + 1
    cell = -(-canvas // side)
    palette = Palette.of(recipe.classes)
    images: list[Tensor] = []
    colors: list[Tensor] = []
    for number in range(recipe.prompts):
        best = _best_shown(recipe, train, cell, recipe.seed + number)
        cells = [_cell(best[label], label, palette, recipe.scale, cell) for label in sorted(best)]
        order = [place % len(cells) for place in range(side**2)]
        for halves, index in ((images, 0), (colors, 1)):
            whole = tiled([cells[place][index] for place in order], side)
            halves.append(whole[:, :canvas, :canvas].contiguous())
    return Prompt(
        tuple(images), tuple(colors), palette,
        scale=recipe.scale, canvas=canvas, seg_type=recipe.seg_type,
    )  # fmt: skip


def _best_shown(
    recipe: Recipe, train: Sequence[LoadedSample], cell: int, seed: int
) -> dict[int, LoadedSample]:
    """Return for each class the image that shows most of it, of those that were looked at."""
    enough = 0.5 * (cell / recipe.scale) ** 2
    labels = range(1, len(recipe.classes) + 1)
    best: dict[int, LoadedSample] = {}
    most = dict.fromkeys(labels, 0)
    for index in np.random.default_rng(seed).permutation(len(train))[:MAX_LOOKED_AT]:
        sample = train[index]
        if sample.field_of_view is not None:
            seen = np.where(sample.field_of_view, sample.class_map, np.uint8(IGNORE))
            sample = replace(sample, class_map=seen)
        shown = np.bincount(sample.class_map.ravel(), minlength=IGNORE + 1)
        for label in labels:
            if most[label] < min(shown[label], enough):
                best[label], most[label] = sample, int(shown[label])
        if all(pixels >= enough for pixels in most.values()):
            break
    if not best:
        raise InputError("init 'mosaic' needs training images that show a class; none does")
    return best


def _cell(
    sample: LoadedSample, label: int, palette: Palette, scale: float, cell: int
) -> tuple[Tensor, Tensor]:
    """Cut the window that holds most of a class; other classes in it keep their colors."""
    own = np.where(sample.class_map == label, np.uint8(1), np.uint8(0))
    both = torch.cat((to_tensor(sample.image), palette.paint(sample.class_map)))
    window, _ = crop_most_foreground(both, torch.from_numpy(own), scale, cell)
    return window[:3], window[3:]
