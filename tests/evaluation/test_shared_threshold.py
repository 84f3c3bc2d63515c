"""One threshold for prompts that decide together."""

import math

import numpy as np
import pytest
import torch

from prompttune.evaluation.metrics import choose_threshold, measure, threshold_grid
from prompttune.evaluation.shared_threshold import at_threshold, choose_shared_threshold
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


def prompt_of(*classes: str) -> Prompt:
    pixels = (torch.zeros(3, 4, 4),)
    return Prompt(pixels, pixels, Palette.of(classes), scale=1.0, name="key")


def image(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes + 1, (12, 12)).astype(np.uint8)
    scores = rng.random((classes, 12, 12), np.float32) * 0.2
    scores += 0.3 * (truth == np.arange(1, classes + 1)[:, None, None])
    return scores.astype(np.float32), truth, rng.random((12, 12)) > 0.2


def test_one_prompt_has_the_threshold_that_it_has_alone() -> None:
    images = [image(seed, 2) for seed in range(2)]
    ours = choose_shared_threshold(Composition([prompt_of("a", "b")]), images)
    assert ours == pytest.approx(choose_threshold(images))


def test_the_shared_threshold_is_the_best_of_the_grid() -> None:
    both = Composition([prompt_of("a", "b"), prompt_of("c")])
    images = [image(seed, 3) for seed in range(2)]
    threshold, dice = choose_shared_threshold(both, images)

    def mean_dice(value: float) -> float:
        deciding = at_threshold(both, value)
        decided = [deciding.decide(torch.from_numpy(scores)).numpy() for scores, _, _ in images]
        pairs = zip(images, decided, strict=True)
        return float(np.mean([measure(s, own, t, c).dice for (s, t, c), own in pairs]))

    assert dice == pytest.approx(mean_dice(threshold))
    assert dice == pytest.approx(max(mean_dice(float(value)) for value in threshold_grid()[10:24]))


def test_images_without_classes_or_pixels() -> None:
    both = Composition([prompt_of("a"), prompt_of("b")])
    scores, truth, counted = image(0, 2)
    assert choose_shared_threshold(both, [(scores, 0 * truth, counted)])[1] == 1
    threshold, dice = choose_shared_threshold(both, [(scores, truth, counted & False)])
    assert (threshold, math.isnan(dice)) == (0.5, True)
