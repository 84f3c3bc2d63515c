"""The scale that a key gets where none was given: examples choose, then companions do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.data.layouts import LoadedSample
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.run import Machine
from prompttune.workflows import scale as workflow
from prompttune.workflows.scale import EXAMPLES, fitting_scale, with_auto_scale

CONFIG = SegGPTConfig(
    canvas=32, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
    decoder_dim=4, pretrain_canvas=32,
)  # fmt: skip
RECIPE = Recipe(task="custom", classes=("weave",), scale=7.0)
LEARNING = replace(RECIPE, companion=4.0, max_steps=40, batch=8, augment=False)
MACHINE = Machine(progress=False)


def weave(seed: int, shown: bool = True) -> LoadedSample:
    """Return even gray, a square of which is a weave of single pixels that half the scale blurs."""
    rng = np.random.default_rng(seed)
    image = np.full((64, 80, 3), 128, np.uint8)
    class_map = np.zeros((64, 80), np.uint8)
    if shown:
        top, left = rng.integers(0, 32, 2)
        class_map[top : top + 30, left : left + 30] = 1
        light = np.indices(class_map.shape).sum(0) % 2 == 0
        image[(class_map == 1) & light] = 255
        image[(class_map == 1) & ~light] = 1
    return LoadedSample(f"weave-{seed}", image, class_map)


class Refusing(list):
    def __getitem__(self, index: object) -> object:
        raise AssertionError("test images choose nothing")


def data_of(train: list[LoadedSample], val: int = 0) -> TaskData:
    held = [weave(1000 + seed) for seed in range(val)]
    return TaskData(train, held, Refusing(), "weaves", "generated", generated=True)


class Choosing(Segmenter):
    """A segmenter whose examples choose a scale without looking."""

    def __init__(self, chosen: float | None) -> None:
        torch.manual_seed(0)
        super().__init__(SegGPT(CONFIG), device="cpu")
        self.chosen: float | None = chosen
        self.seen: list[Prompt] = []

    def scaled(self, prompt: Prompt) -> Prompt:
        self.seen.append(prompt)
        return replace(prompt, scale=self.chosen)


def test_what_the_examples_like_replaces_the_scale() -> None:
    train = [weave(seed, shown=seed != 1) for seed in range(9)]
    choosing = Choosing(0.35)
    recipe = with_auto_scale(RECIPE, data_of(train), choosing, MACHINE)
    assert recipe == replace(RECIPE, scale=0.35)
    (prompt,) = choosing.seen
    assert len(prompt.images) == EXAMPLES


def test_whole_images_fill_the_canvas() -> None:
    recipe = with_auto_scale(RECIPE, data_of([weave(0)]), Choosing(None), MACHINE)
    assert recipe.scale == 0.4  # 32 of 80 pixels


def test_where_no_image_shows_a_class_tuning_will_refuse() -> None:
    data = data_of([weave(0, shown=False)])
    assert with_auto_scale(RECIPE, data, Choosing(1.0), MACHINE) == RECIPE


def test_what_only_a_fine_scale_shows_makes_the_scale_fine() -> None:
    train = [weave(seed) for seed in range(8)]
    recipe = with_auto_scale(LEARNING, data_of(train, 4), Choosing(0.5), MACHINE)
    assert recipe.scale == 1.0


def tries(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Return a list that gets the recipe of each trial; none of them learns anything."""
    tried: list[Recipe] = []

    def try_out(recipe: Recipe, *_: object) -> np.ndarray:
        tried.append(recipe)
        return np.full(4, 0.01 * recipe.scale)

    monkeypatch.setattr(workflow, "_tried", try_out)
    return tried


def test_scales_stay_between_whole_images_and_the_finest(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = tries(monkeypatch)
    train = [weave(seed) for seed in range(8)]
    recipe = with_auto_scale(LEARNING, data_of(train, 3), Choosing(0.5), MACHINE)
    assert [each.scale for each in tried] == [0.4, 0.5, 0.707, 1.0]
    assert recipe.scale == 0.5  # nothing was learned at any
    tried.clear()
    with_auto_scale(LEARNING, data_of(train, 3), Choosing(1.6), MACHINE)
    assert [each.scale for each in tried] == [0.8, 1.13, 1.6, 2.0]
    tried.clear()
    monkeypatch.setattr(workflow, "MOST_PIXELS", 8 * 64 * 80 * 1.2**2)  # what lies in memory
    with_auto_scale(LEARNING, data_of(train, 3), Choosing(1.0), MACHINE)
    assert [each.scale for each in tried] == [0.5, 0.707, 1.0, 1.2]
    tried.clear()
    with_auto_scale(LEARNING, data_of(train, 3), Choosing(1.6), MACHINE)
    assert [each.scale for each in tried] == [0.8, 1.13, 1.6]


@pytest.mark.parametrize(
    ("images", "read", "expected"),
    [(40, 40, 40), (40, 39, 20), (40, 1, 20), (100, 30, 25), (31, 1, 31)],
)
def test_of_many_large_images_a_trial_learns_from_some(
    images: int, read: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[LoadedSample]] = []

    def try_out(recipe: Recipe, data: TaskData, *_: object) -> np.ndarray:
        seen.append(list(data.train))
        return np.zeros(4)

    monkeypatch.setattr(workflow, "_tried", try_out)
    monkeypatch.setattr(workflow, "MOST_READ", read * 64 * 80)
    train = [weave(seed) for seed in range(images)]
    with_auto_scale(LEARNING, data_of(train, 3), Choosing(1.0), MACHINE)
    assert {len(some) for some in seen} == {expected}
    assert seen[0][1] is train[images // expected], "spread over all"


@pytest.mark.parametrize(
    ("recipe", "val", "machine"),
    [
        (LEARNING, 2, MACHINE),
        (replace(LEARNING, companion=0.0), 3, MACHINE),
        (replace(LEARNING, seg_type=1), 3, MACHINE),
        (LEARNING, 3, Machine(progress=False, devices=2)),
    ],
)
def test_where_companions_cannot_tell_examples_do(
    recipe: Recipe, val: int, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tries(monkeypatch)
    data = data_of([weave(seed) for seed in range(8)], val)
    assert with_auto_scale(recipe, data, Choosing(0.5), machine).scale == 0.5
    assert not tried


def test_images_that_are_learned_from_do_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = tries(monkeypatch)
    train = [weave(seed) for seed in range(4)]
    data = TaskData(train, train, Refusing(), "weaves", "generated", generated=True)
    assert with_auto_scale(LEARNING, data, Choosing(0.5), MACHINE).scale == 0.5
    assert not tried


def test_a_resumed_run_keeps_its_scale() -> None:
    choosing = Choosing(0.5)
    recipe = with_auto_scale(LEARNING, data_of([weave(0)]), choosing, MACHINE, begun=0.3)
    assert recipe == replace(LEARNING, scale=0.3)
    assert not choosing.seen


def test_the_best_scale_or_the_next_finer_one_that_comes_near() -> None:
    best = np.array([0.7, 0.8, 0.6, 0.7])  # their mean is 0.7
    far, near = best - 0.07, best - 0.05
    assert fitting_scale({0.25: near, 0.5: best, 1.0: far, 2.0: near}, 9.0) == 0.5
    assert fitting_scale({0.25: near, 0.5: best, 1.0: near, 2.0: near}, 9.0) == 1.0
    assert fitting_scale({2.0: far, 1.0: near, 0.5: best, 0.25: far}, 9.0) == 1.0  # in any order
    assert fitting_scale({0.5: near, 1.0: best}, 9.0) == 1.0
    assert fitting_scale({1.0: best}, 9.0) == 1.0


def test_pieces_that_do_not_tell_leave_the_choice_to_the_examples() -> None:
    nan = math.nan
    few = {0.5: np.array([0.6, 0.9, nan, nan]), 1.0: np.array([0.2, 0.3, nan, nan])}
    assert fitting_scale(few, 1.0) == 1.0
    assert fitting_scale({0.5: np.full(8, 0.09), 1.0: np.full(8, 0.02)}, 1.0) == 1.0
