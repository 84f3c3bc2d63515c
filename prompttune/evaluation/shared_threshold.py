"""One threshold for all images, and for a composition of prompts, which decide together."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from prompttune.evaluation.metrics import (
    best_threshold,
    dice_curve,
    pixel_dice,
    threshold_grid,
)
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt


def dice_at_best(
    prompt: Prompt | Composition, images: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the Dice of each image at the threshold of the grid that is best for them all.

    Args:
        prompt: decides.
        images: (scores, truth, counted) each, as `dice_curve` takes them.
    """
    grid = threshold_grid()
    if isinstance(prompt, Prompt):
        curves = [dice_curve(*each, grid) for each in images]
    else:
        curves = shared_dice_curves(prompt, images, grid)
    threshold, _ = best_threshold(curves, grid)
    at = int(np.abs(grid - threshold).argmin())
    return np.array([curve[at] for curve in curves])


def choose_shared_threshold(
    composition: Composition, images: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """Return the best threshold of the grid, and its mean Dice, as `choose_threshold` does.

    Args:
        composition: decides.
        images: (scores, truth, counted) each, as `dice_curve` takes them.
    """
    grid = threshold_grid()
    return best_threshold(shared_dice_curves(composition, images, grid), grid)


def shared_dice_curves(
    composition: Composition,
    images: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    thresholds: np.ndarray,
) -> list[np.ndarray]:
    """Return what `dice_curve` does of each image, as a composition decides.

    Args:
        composition: decides.
        images: (scores, truth, counted) each, as `dice_curve` takes them.
        thresholds: T values.
    """
    deciding = [at_threshold(composition, float(value)) for value in thresholds]
    curves = []
    for scores, truth, counted in images:
        planes, true = torch.from_numpy(np.ascontiguousarray(scores[:, counted])), truth[counted]
        curves.append(
            np.array([pixel_dice(each.decide(planes).numpy(), true) for each in deciding])
        )
    return curves


def at_threshold(composition: Composition, threshold: float) -> Composition:
    """Return a composition all of whose prompts have this threshold."""
    return Composition(replace(part, threshold=threshold) for part in composition.parts)
