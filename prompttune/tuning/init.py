"""Where a learned prompt starts."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from prompttune.data.layouts import LoadedSample
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.synthetic.scenes import Task
from prompttune.tasks.data import GENERATORS
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.groups import Relabeled, class_groups, relabeling
from prompttune.tuning.mosaic import mosaic
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import denormalize

FIRST_START_SEED = 2_000_000
"""Generated starting images come from seeds that no training or test image has."""

EXAMPLES = 8
"""How many examples `best-example` and `mean` look at, at most."""
SCENES = 32
"""How many generated scenes `best-generated` tries."""
Judge = Callable[[Sequence[Prompt]], Sequence[float]]
"""From prompts to how good each is, higher is better."""


def starting_prompt(
    recipe: Recipe,
    canvas: int,
    train: Sequence[LoadedSample],
    judge: Judge = lambda prompts: [0.0] * len(prompts),
) -> Prompt | Composition:
    """Return the prompt that tuning begins with, by `recipe.init`.

    More classes than `recipe.group` begin with a composition of one prompt a group.
    `noise`, `kaiming`, `generated` and `best-generated`, the generated scenes that `judge` likes
    best, hold nobody's image; `example` holds crops of training images, those that together show
    all classes where there are several, `best-example` those that `judge` likes best, `mean` the
    average of several, `mosaic` a cut-out of each class.

    Raises:
        InputError: examples are asked for, and too few training images show a class.
    """
    groups = class_groups(recipe.classes, recipe.group)
    counts = None
    if recipe.init == "example" and min(recipe.prompts, len(recipe.classes)) > 1:
        counts = pixel_counts(train, len(recipe.classes))
    if len(groups) == 1:
        return _one_prompt(recipe, canvas, train, judge, counts)
    return Composition(
        _one_prompt(
            replace(recipe, classes=own, seed=recipe.seed + index),
            canvas,
            Relabeled(train, relabeling(recipe.classes, own)),
            judge,
            None if counts is None else counts[:, [recipe.classes.index(name) for name in own]],
        )
        for index, own in enumerate(groups)
    )


def _one_prompt(
    recipe: Recipe,
    canvas: int,
    train: Sequence[LoadedSample],
    judge: Judge,
    counts: np.ndarray | None = None,
) -> Prompt:
    if recipe.init in ("noise", "kaiming"):
        return _noise(recipe, canvas)
    if recipe.init == "generated":
        assert recipe.generator is not None  # checked by the recipe
        first = FIRST_START_SEED + recipe.seed
        seeds = range(first, first + recipe.prompts)
        chosen = [GENERATORS[recipe.generator](seed) for seed in seeds]
        return _from_samples(recipe, canvas, chosen)
    if recipe.init == "best-generated":
        seed = FIRST_START_SEED + recipe.seed
        drawn = generated_examples(recipe.classes, recipe.scale, canvas, seed)
        typed = (replace(scene, seg_type=recipe.seg_type) for scene in drawn)
        return _best(list(islice(typed, max(SCENES, recipe.prompts))), recipe.prompts, judge)
    if recipe.init == "mosaic":
        return mosaic(recipe, canvas, train)
    if recipe.init == "example":
        if counts is None:
            return _from_samples(recipe, canvas, _draw_examples(recipe, train, recipe.prompts))
        chosen = [train[index] for index in covering(counts, recipe.prompts, recipe.seed)]
        return _from_samples(recipe, canvas, chosen)
    chosen = _draw_examples(recipe, train, recipe.prompts, max(EXAMPLES, recipe.prompts))
    examples = [_from_samples(recipe, canvas, [sample]) for sample in chosen]
    if recipe.init == "best-example":
        return _best(examples, recipe.prompts, judge)
    groups = [examples[first :: recipe.prompts] for first in range(recipe.prompts)]
    means = [
        [torch.stack([getattr(each, half)[0] for each in group]).mean(0) for group in groups]
        for half in ("images", "colors")
    ]
    return _joined(examples, *means)


def _from_samples(recipe: Recipe, canvas: int, samples: Sequence[LoadedSample]) -> Prompt:
    pairs = [(sample.image, scored_map(sample)) for sample in samples]
    prompt = Prompt.from_examples(pairs, recipe.classes, scale=recipe.scale, canvas=canvas)
    return replace(prompt, seg_type=recipe.seg_type)


def _best(prompts: Sequence[Prompt], count: int, judge: Judge) -> Prompt:
    """Join the best of several prompts; of equals the first."""
    values = judge(prompts)
    order = sorted(range(len(prompts)), key=lambda index: values[index], reverse=True)
    best = [prompts[index] for index in order[:count]]
    return _joined(best, [each.images[0] for each in best], [each.colors[0] for each in best])


def _joined(like: Sequence[Prompt], images: list[Tensor], colors: list[Tensor]) -> Prompt:
    return replace(like[0], images=tuple(images), colors=tuple(colors))


def scored_map(sample: LoadedSample) -> np.ndarray:
    """Return the class map with 255 (ignore) outside the field of view."""
    if sample.field_of_view is None:
        return sample.class_map
    return np.where(sample.field_of_view, sample.class_map, np.uint8(IGNORE))


def _noise(recipe: Recipe, canvas: int) -> Prompt:
    """Return gray noise, or for `kaiming` normal noise in the network's space, fan-in 3 S^2."""
    generator = torch.Generator().manual_seed(recipe.seed)
    size = (2, recipe.prompts, 3, canvas, canvas)
    noise = torch.randn(size, generator=generator)
    if recipe.init == "kaiming":
        images, colors = denormalize(noise * math.sqrt(2 / 3) / canvas)
    else:
        images, colors = (0.5 + 0.1 * noise).clamp(0, 1)
    palette = Palette.of(recipe.classes)
    return Prompt(
        tuple(images), tuple(colors), palette,
        scale=recipe.scale, canvas=canvas, seg_type=recipe.seg_type,
    )  # fmt: skip


def _draw_examples(
    recipe: Recipe, train: Sequence[LoadedSample], least: int, most: int | None = None
) -> list[LoadedSample]:
    """Draw training images that show a class: `most` of them where there are so many.

    Images that show more of the classes come first: what an example does not show, it cannot tell.
    """
    # Three rules choose training images, each for another end. Here each is to stand for itself.
    # Where several are to show all classes together, `covering` chooses, which may take one of few
    # classes and needs the pixels of each counted. Scales and rows of comparisons are judged by
    # chance images, `evaluation.comparison.draw_showing`, which reads the fewest; it cannot stand
    # in here, since the starts of shipped keys hang on this order.
    kinds = range(1, len(recipe.classes) + 1)
    order = np.random.default_rng(recipe.seed).permutation(len(train)).tolist()
    shown = {index: int(np.isin(kinds, scored_map(train[index])).sum()) for index in order}
    order.sort(key=lambda index: -shown[index])
    chosen = [train[index] for index in order[: most or least] if shown[index]]
    if len(chosen) < least:
        raise InputError(
            f"init '{recipe.init}' needs {least} training images that show a class; "
            f"{len(chosen)} do"
        )
    return chosen


MAX_SHOWN = 3
"""Scenes that show more classes are rare: of more, the first ones are shown."""
MIN_SHARE, MIN_BACKGROUND = 0.02, 0.2
"""Of the pixels: smaller things, or almost nothing else, make no example."""


def generated_examples(
    classes: tuple[str, ...], scale: float, canvas: int, seed: int
) -> Iterator[Prompt]:
    """Draw examples without end, each of a task of its own, `canvas` pixels a side.

    A scene's first kind of thing stands for the first class, and so on: which scene suits a task
    must be tried out. The same seed gives the same examples.
    """
    rng = np.random.default_rng(seed)
    while True:
        scene = Task.draw(rng, hard=True).scene(rng, canvas)
        class_map = np.where(scene.classes <= len(classes), scene.classes, 0).astype(np.uint8)
        shares = np.bincount(class_map.ravel(), minlength=len(classes) + 1) / class_map.size
        shown = shares[1 : 1 + min(len(classes), MAX_SHOWN)]
        if shown.min() > MIN_SHARE and shares[0] > MIN_BACKGROUND:
            pair = (np.rint(255 * scene.image).astype(np.uint8), class_map)
            prompt = Prompt.from_examples([pair], classes, scale=1.0, canvas=canvas)
            yield replace(prompt, scale=scale)


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
