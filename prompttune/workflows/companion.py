"""Give a tuned prompt its companion, and let validation images say how much that counts."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prompttune.companion.companion import Companion, weighed
from prompttune.evaluation.metrics import FEW_IMAGES, defined_mean, or_zero
from prompttune.evaluation.shared_threshold import dice_at_best
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, changed, give_companion
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.companion import train_companion
from prompttune.tuning.run import Machine, Tuned, tune
from prompttune.utils.devices import global_rank
from prompttune.workflows.calibrate import validation_pieces

SHARES = (0.25, 0.5, 0.65, 0.8, 1.0)
USUAL = 0.8
"""The share where fewer than three validation images could choose one, or none is held out. Dice
with .5, .65, .8, .9 and 1 on eight training images that were not learned from, six of retinas:
one image of cracks .604, .592, .582, .577, .574; of membranes .777, .789, .794, .794, .791; of
retinas .769, .776, .782, .781, .777; five of roads .770, .796, .804, .806, .806. In another light
.8 is ahead of 1 (docs/results.md)."""


def with_companion(
    prompt: Prompt | Composition,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    machine: Machine,
) -> Prompt | Composition:
    """Learn a companion beside a tuned prompt, if the recipe asks for one.

    Whole images, and instances, whose colors have no meaning of their own, have none; groups share
    one. Where validation images are answered best without one, the prompt stays alone; one or two
    of them do not tell, nor do training images, and then the companion counts `USUAL`.

    Args:
        prompt: as tuned.
        recipe: it was tuned with.
        segmenter: with its backbone.
        data: it was tuned on.
        machine: that learns; answers are computed in the same precision.

    Returns:
        The prompt with a companion, or as it was.
    """
    # Of many classes there is more to learn, and the prompts of their groups took as much longer.
    steps = round(recipe.companion * recipe.max_steps) * len(prompt.parts)
    if not steps or any(part.seg_type or part.scale is None for part in prompt.parts):
        return prompt
    canvas = segmenter.canvas(prompt.parts[0])
    # One image or two show little of what others are like; strongly varied they show more.
    network = train_companion(recipe, canvas, data, steps, machine, strong=not data.holds_out)
    companion = network.folded(USUAL)
    if not data.holds_out or len(data.val) < FEW_IMAGES:
        return give_companion(prompt, companion)
    quick = Segmenter(segmenter.network, precision="bf16" if machine.bf16 else "fp32")
    share = best_share(prompt, companion, quick, data, recipe)
    return give_companion(prompt, replace(companion, share=share)) if share else prompt


def tune_with_companion(
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    output: Path,
    machine: Machine,
    resume: bool = False,
) -> Tuned:
    """Learn a prompt and then its companion: what every tuning does, whoever asks for it.

    Args:
        recipe: what is learned, and how.
        segmenter: with the frozen backbone.
        data: images to learn from, and those that choose.
        output: folder of the run.
        machine: that computes; of several processes the first alone learns a companion.
        resume: go on with the run in `output`.

    Returns:
        What `tune` learned, its prompt with its companion (`with_companion`), and the seconds of
        both.

    Raises:
        InputError: as `tune`.
    """
    tuned = tune(recipe, segmenter.network, data, output, machine, resume)
    if global_rank(machine.devices) > 0:
        return tuned
    began = time.perf_counter()
    prompt = with_companion(tuned.prompt, recipe, segmenter, data, machine)
    return replace(tuned, prompt=prompt, seconds=tuned.seconds + time.perf_counter() - began)


def best_share(
    prompt: Prompt | Composition,
    companion: Companion,
    segmenter: Segmenter,
    data: TaskData,
    recipe: Recipe,
) -> float:
    """Return the share that validation images ask for, 0 for none (`chosen_share`).

    Pieces are answered as whole images are, and each share is judged at its own best threshold:
    single windows around things would not show what is found where nothing is.

    Args:
        prompt: alone.
        companion: learned beside it.
        segmenter: with its backbone.
        data: whose validation images neither has learned.
        recipe: of the task.
    """
    pieces = list(validation_pieces(prompt.parts[0], segmenter, data, recipe.overlap, recipe.seed))
    alone = changed(prompt, domain=None, companion=None)
    sure = give_companion(alone, replace(companion, share=1.0))
    given, own = (
        [
            torch.from_numpy(answer.scores)[None]
            for answer in segmenter.stream((piece.image for piece in pieces), asked, recipe.overlap)
        ]
        for asked in (alone, sure)
    )
    groups = [len(part.palette.classes) for part in prompt.parts]

    def dice(share: float) -> np.ndarray:
        shown = (
            (_weighed(mine, theirs, share, groups).numpy(), piece.class_map, piece.counted)
            for mine, theirs, piece in zip(own, given, pieces, strict=True)
        )
        return dice_at_best(prompt, shown)

    return chosen_share({share: dice(share) for share in (0.0, *SHARES)})


def chosen_share(dice: Mapping[float, np.ndarray]) -> float:
    """Return the best of the shares from `USUAL` on, or a lower one that is surely better.

    A few images show hardly more than chance: four of cracks preferred .65 by .01, with which test
    images came to .63, with .8 to .68. So a lower one must gain more than the standard error of
    its gain.

    Args:
        dice: of each share the Dice of some pieces, NaN where it is not defined.
    """
    means = {share: defined_mean(each) for share, each in dice.items()}
    best = max((share for share in dice if share >= USUAL), key=lambda share: or_zero(means[share]))
    surely = [share for share in dice if share < USUAL and _gains(dice[share] - dice[best])]
    return max((best, *surely), key=lambda share: or_zero(means[share]))


def _gains(gained: np.ndarray) -> bool:
    """Say whether the mean of what several pieces gained is more than its standard error."""
    known = gained[~np.isnan(gained)]
    if len(known) < FEW_IMAGES:
        return False
    return bool(known.mean() > known.std(ddof=1) / math.sqrt(len(known)))


def _weighed(own: Tensor, given: Tensor, share: float, groups: list[int]) -> Tensor:
    """Weigh two opinions of a piece, `1 x C x H x W`, group by group; return `C x H x W`."""
    pairs = zip(own.split(groups, 1), given.split(groups, 1), strict=True)
    return torch.cat([weighed(*pair, share)[0] for pair in pairs])
