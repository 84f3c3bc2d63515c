"""Where a learned prompt starts."""

from collections.abc import Sequence

import numpy as np
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.data.task import GENERATORS
from prompttune.errors import InputError
from prompttune.palette import IGNORE, Palette
from prompttune.prompt import Prompt
from prompttune.recipes import Recipe

FIRST_START_SEED = 2_000_000
"""Generated starting images come from seeds that no training or test image has."""


def starting_prompt(recipe: Recipe, canvas: int, train: Sequence[LoadedSample]) -> Prompt:
    """Return the prompt that tuning begins with, by `recipe.init`.

    `noise` and `generated` hold nobody's image; `example` holds crops of training images.

    Raises:
        InputError: `example` where no training image shows a class.
    """
    if recipe.init == "noise":
        return _noise(recipe, canvas)
    if recipe.init == "generated":
        assert recipe.generator is not None  # checked by the recipe
        seeds = range(
            FIRST_START_SEED + recipe.seed, FIRST_START_SEED + recipe.seed + recipe.prompts
        )
        chosen = [GENERATORS[recipe.generator](seed) for seed in seeds]
    else:
        chosen = _draw_examples(recipe, train)
    pairs = [(sample.image, scored_map(sample)) for sample in chosen]
    return Prompt.from_examples(pairs, classes=recipe.classes, scale=recipe.scale, canvas=canvas)


def scored_map(sample: LoadedSample) -> np.ndarray:
    """Return the class map with 255 (ignore) outside the field of view."""
    if sample.field_of_view is None:
        return sample.class_map
    return np.where(sample.field_of_view, sample.class_map, np.uint8(IGNORE))


def _noise(recipe: Recipe, canvas: int) -> Prompt:
    generator = torch.Generator().manual_seed(recipe.seed)
    size = (2, recipe.prompts, 3, canvas, canvas)
    images, colours = (0.5 + 0.1 * torch.randn(size, generator=generator)).clamp(0, 1)
    return Prompt(tuple(images), tuple(colours), Palette.of(recipe.classes), scale=recipe.scale)


def _draw_examples(recipe: Recipe, train: Sequence[LoadedSample]) -> list[LoadedSample]:
    chosen: list[LoadedSample] = []
    for index in np.random.default_rng(recipe.seed).permutation(len(train)):
        sample = train[index]
        if np.isin(scored_map(sample), range(1, len(recipe.classes) + 1)).any():
            chosen.append(sample)
        if len(chosen) == recipe.prompts:
            return chosen
    raise InputError(
        f"init 'example' needs {recipe.prompts} training images that show a class; {len(chosen)} do"
    )
