"""The scale of a key that was given none: what its examples and short companions say of it."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from prompttune.data.picture_store import IN_MEMORY
from prompttune.evaluation.comparison import draw_showing
from prompttune.evaluation.metrics import FEW_IMAGES, defined_mean, or_zero
from prompttune.evaluation.shared_threshold import dice_at_best
from prompttune.inference.scale import FINEST, TELLING
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, give_companion
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import AUTO, Recipe
from prompttune.tuning.companion import MANY, train_companion
from prompttune.tuning.init import scored_map, starting_prompt
from prompttune.tuning.run import Machine
from prompttune.utils.progress import Progress
from prompttune.workflows.calibrate import Piece, validation_pieces

EXAMPLES = 4
"""Training images that choose."""
TRIED = (0.5, 0.5**0.5, 1.0, 2**0.5, 2.0)
"""Scales at which companions are tried, in units of what the examples chose."""
MOST_PIXELS = IN_MEMORY // 4
"""Of all training images together, with four bytes each: finer scales than the examples' own are
not tried where crops would come from the disk."""
MOST_READ = 2**28
"""Pixels of the training images that a trial learns from, as they are before they are resized. Two
dozen photos of 12 megapixels take about as long to read as a trial does to learn; of more, every
second or third is taken."""
STEPS, BATCH = 1 / 2, 1 / 4
"""Of a companion's own, that a trial takes, so that all trials last a little less than learning a
companion does. Few crops a step, since steps are what tells: with a sixth of the steps and all
crops three trainings at one scale of retinas came to .70, .43 and .46, with two thirds of the steps
and a quarter of the crops to .67, .62 and .66."""
CLOSE = 0.92
"""Of the best Dice: the next finer scale that comes so near is better in the end. What learns for a
short time favors coarse scales, at which a crop shows more (docs/results.md)."""


def with_auto_scale(
    recipe: Recipe,
    data: TaskData,
    segmenter: Segmenter,
    machine: Machine,
    begun: float | None = None,
) -> Recipe:
    """Return a recipe with a scale that was chosen by the images of the task.

    A few training images answer each other at several scales; where the best is whole images, it is
    the scale at which the largest of them fills the canvas. Then companions learn for a short time
    at that scale and at others near it, and validation images choose, if at least three were held
    out and one process tunes. No test image is looked at.

    Args:
        recipe: whose scale is replaced.
        data: the images of the task.
        segmenter: with the backbone that will be tuned for.
        machine: that computes.
        begun: what was chosen for a run that is resumed; it stays.

    Returns:
        The recipe; as it was where no training image shows a class, which tuning refuses.
    """
    if begun is not None:
        return replace(recipe, scale=begun)
    samples = draw_showing(data.train, recipe.seed, EXAMPLES)
    if not samples:
        return recipe
    pairs = [(sample.image, scored_map(sample)) for sample in samples]
    canvas = max(recipe.min_canvas, segmenter.network.config.canvas)
    whole = canvas / max(max(sample.image.shape[:2]) for sample in samples)
    prompt = Prompt.from_examples(pairs, recipe.classes, scale=AUTO, canvas=canvas)
    chosen = replace(recipe, scale=_rounded(segmenter.scaled(prompt).known_scale or whole))
    alone = machine.devices * machine.nodes == 1  # several processes could choose differently
    learns = recipe.companion > 0 and not recipe.seg_type
    if not (alone and learns and data.holds_out and len(data.val) >= FEW_IMAGES):
        return chosen
    pixels = len(data.train) * float(np.mean([sample.class_map.size for sample in samples]))
    finest = max(min(FINEST, math.sqrt(MOST_PIXELS / pixels)), chosen.scale)
    coarsest = min(whole, chosen.scale)
    scales = {_rounded(min(max(chosen.scale * by, coarsest), finest)) for by in TRIED}
    some = replace(data, train=data.train[:: _stride(len(data.train), pixels)])
    return replace(chosen, scale=_by_companions(chosen, sorted(scales), some, segmenter, machine))


def _stride(images: int, pixels: float) -> int:
    """Return 1 for all images, 2 for every second; a set that is not small does not become so."""
    return max(1, min(math.ceil(pixels / MOST_READ), images // MANY))


def _by_companions(
    recipe: Recipe, scales: list[float], data: TaskData, segmenter: Segmenter, machine: Machine
) -> float:
    """Return the scale at which a companion that learns for a short time does best."""
    quick = Segmenter(segmenter.network, precision="bf16" if machine.bf16 else "fp32")
    # The same pieces judge all scales, so they have the size that suits the examples' choice.
    asked = unlearned(recipe, data, quick).parts[0]
    pieces = list(validation_pieces(asked, quick, data, recipe.overlap, recipe.seed))
    dice = {}
    with Progress("Trying scales", len(scales), "tried", shown=machine.progress) as progress:
        for scale in scales:
            dice[scale] = _tried(replace(recipe, scale=scale), data, quick, machine, pieces)
            progress.advance(text=f"{scale:g}: {or_zero(defined_mean(dice[scale])):.3f}")
    return fitting_scale(dice, recipe.scale)


def _tried(
    recipe: Recipe, data: TaskData, segmenter: Segmenter, machine: Machine, pieces: list[Piece]
) -> np.ndarray:
    """Return the Dice of each piece, as a companion of a few steps answers it alone."""
    prompt = unlearned(recipe, data, segmenter)
    steps = max(1, round(STEPS * recipe.companion * recipe.max_steps * len(prompt.parts)))
    short = replace(recipe, batch=max(1, round(BATCH * recipe.batch)))
    canvas = segmenter.canvas(prompt.parts[0])
    network = train_companion(short, canvas, data, steps, replace(machine, progress=False))
    answering = give_companion(prompt, network.folded(1.0))
    answers = segmenter.stream((piece.image for piece in pieces), answering, recipe.overlap)
    return dice_at_best(
        prompt,
        (
            (answer.scores, piece.class_map, piece.counted)
            for answer, piece in zip(answers, pieces, strict=True)
        ),
    )


def unlearned(recipe: Recipe, data: TaskData, segmenter: Segmenter) -> Prompt | Composition:
    """Return a prompt that only says how windows are cut and what the classes are.

    Args:
        recipe: with the scale and the classes.
        data: the images of the task.
        segmenter: with the backbone whose canvas windows have.
    """
    canvas = max(recipe.min_canvas, segmenter.network.config.canvas)
    return starting_prompt(replace(recipe, init="noise"), canvas, data.train)


def fitting_scale(dice: Mapping[float, np.ndarray], otherwise: float) -> float:
    """Return the scale with the best mean Dice, or the next finer one where that is `CLOSE`.

    Args:
        dice: of each scale the Dice of some pieces, NaN where it is not defined.
        otherwise: the scale of the examples, which stays where fewer than three pieces have a Dice,
            or where nothing was learned at any scale.
    """
    means = {scale: or_zero(defined_mean(dice[scale])) for scale in sorted(dice)}
    told = sum(not np.isnan(each).all() for each in zip(*dice.values(), strict=True))
    best = max(means, key=means.__getitem__)
    if told < FEW_IMAGES or means[best] < TELLING:
        return otherwise
    finer = min((scale for scale in means if scale > best), default=best)
    return finer if means[finer] > CLOSE * means[best] else best


def _rounded(scale: float) -> float:
    return float(f"{scale:.3g}")
