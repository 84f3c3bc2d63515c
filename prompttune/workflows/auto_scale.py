"""The scale of a task that has none of its own: what suits its labeled images best."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from prompttune.data.samples import LoadedSample
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.init import scored_map

EXAMPLES = 4
"""Training images that choose."""
AUTO: Literal["auto"] = "auto"


def with_auto_scale(recipe: Recipe, data: TaskData, segmenter: Segmenter) -> Recipe:
    """Return a recipe with the scale at which a few training images answer each other best.

    Where that is whole images, it is the scale at which the largest of them fills the canvas. No
    validation or test image is looked at.

    Args:
        recipe: whose scale is replaced.
        data: the images of the task.
        segmenter: with the backbone that will be tuned for.

    Raises:
        InputError: no training image shows a class.
    """
    samples = _examples(data.train, recipe)
    pairs = [(sample.image, scored_map(sample)) for sample in samples]
    canvas = max(recipe.min_canvas, segmenter.network.config.canvas)
    prompt = Prompt.from_examples(pairs, recipe.classes, scale=AUTO, canvas=canvas)
    chosen = segmenter.scaled(prompt).known_scale
    if chosen is None:
        chosen = canvas / max(max(sample.image.shape[:2]) for sample in samples)
    return replace(recipe, scale=float(f"{chosen:.3g}"))


def _examples(train: Sequence[LoadedSample], recipe: Recipe) -> list[LoadedSample]:
    """Draw training images that show a class; where none does, the error is that of examples."""
    found: list[LoadedSample] = []
    for index in np.random.default_rng(recipe.seed).permutation(len(train)).tolist():
        sample = train[index]
        if np.isin(scored_map(sample), range(1, len(recipe.classes) + 1)).any():
            found.append(sample)
        if len(found) == EXAMPLES:
            break
    return found or [train[0]]
