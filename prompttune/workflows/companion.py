"""Give a tuned prompt its companion, and let validation images say how much that counts."""

import time
from dataclasses import replace

import numpy as np
import torch

from prompttune.companion.companion import weighed
from prompttune.companion.network import CompanionNetwork
from prompttune.data.crops import CropDataset
from prompttune.evaluation.metrics import choose_threshold
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.companion import MAX_CROP, train_companion
from prompttune.tuning.run import Machine, Tuned
from prompttune.utils.constants import IGNORE
from prompttune.utils.normalize import normalise, to_uint8

SHARES = (0.25, 0.5, 0.65, 0.8, 1.0)
UNKNOWN = 0.5
"""The share where validation images are training images, on which the companion looks too good."""


def with_companion(
    prompt: Prompt | Composition,
    recipe: Recipe,
    segmenter: Segmenter,
    data: TaskData,
    machine: Machine,
) -> Prompt | Composition:
    """Learn a companion beside a tuned prompt, if the recipe asks for one.

    Groups, whole images, and instances, whose colors have no meaning of their own, have none. Where
    validation crops are answered best without one, the prompt stays alone.

    Args:
        prompt: as tuned.
        recipe: it was tuned with.
        segmenter: with its backbone.
        data: it was tuned on.
        machine: that learns; answers are computed in the same precision.

    Returns:
        The prompt with a companion, or as it was.
    """
    steps = round(recipe.companion * recipe.max_steps)
    if not steps or not isinstance(prompt, Prompt) or prompt.seg_type or prompt.scale is None:
        return prompt
    canvas = segmenter.canvas(prompt)
    network = train_companion(recipe, canvas, data, steps, machine)
    names = {sample.name for sample in data.train}
    if any(sample.name in names for sample in data.val):
        return replace(prompt, companion=network.folded(UNKNOWN))
    quick = Segmenter(segmenter.network, precision="bf16" if machine.bf16 else "fp32")
    share = _best_share(prompt, network, recipe, quick, data)
    return replace(prompt, companion=network.folded(share)) if share else prompt


def accompanied(
    tuned: Tuned, recipe: Recipe, segmenter: Segmenter, data: TaskData, machine: Machine
) -> Tuned:
    """Return a run's prompt with its companion (`with_companion`), and the seconds of both."""
    began = time.perf_counter()
    prompt = with_companion(tuned.prompt, recipe, segmenter, data, machine)
    return replace(tuned, prompt=prompt, seconds=tuned.seconds + time.perf_counter() - began)


@torch.inference_mode()
def _best_share(
    prompt: Prompt, network: CompanionNetwork, recipe: Recipe, segmenter: Segmenter, data: TaskData
) -> float:
    """Return the share with the best Dice over the pixels of validation crops, 0 for none.

    Each share is judged at its own best threshold.
    """
    side = min(segmenter.canvas(prompt), MAX_CROP)
    val = CropDataset(
        list(data.val), side, recipe.scale, recipe.seed, recipe.val_crops, augment=False
    )
    crops = torch.stack([crop["image"] for crop in val])
    truth = np.concatenate([crop["class_map"].numpy() for crop in val])
    counted = truth != IGNORE
    alone = replace(prompt, scale=1.0, domain=None)  # crops are at the prompt's scale already
    answers = segmenter.stream(map(to_uint8, crops), alone, overlap=0.0)
    given = torch.stack([torch.from_numpy(answer.scores) for answer in answers])
    companion = network.folded(UNKNOWN)
    own = torch.cat([companion.logits(normalise(crop[None])) for crop in crops])

    def dice(share: float) -> float:
        scores = weighed(own, given, share) if share else given
        planes = np.concatenate(list(scores.numpy()), 1)
        return choose_threshold([(planes, np.where(counted, truth, 0), counted)])[1]

    return max((0.0, *SHARES), key=dice)
