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
from prompttune.workflows.scale import EXAMPLES, surely_better, with_auto_scale

CONFIG = SegGPTConfig(
    canvas=32, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
    decoder_dim=4, pretrain_canvas=32,
)  # fmt: skip
RECIPE = Recipe(task="custom", classes=("weave",), scale=7.0)
LEARNING = replace(RECIPE, companion=4.0, max_steps=40, batch=8, augment=False)
MACHINE = Machine(progress=False)


def weave(seed: int, shown: bool = True) -> LoadedSample:
    """Return gray noise, a square of which is a weave of one pixel that half the scale blurs."""
    rng = np.random.default_rng(seed)
    image = rng.integers(110, 146, (64, 80, 3), dtype=np.uint8)
    class_map = np.zeros((64, 80), np.uint8)
    if shown:
        top, left = rng.integers(0, 32, 2)
        class_map[top : top + 30, left : left + 30] = 1
        rows, columns = np.indices(class_map.shape)
        image = np.where((class_map == 1)[..., None], 128, image)
        image[(class_map == 1) & ((rows + columns) % 2 == 0)] = 255
        image[(class_map == 1) & ((rows + columns) % 2 == 1)] = 1
    return LoadedSample(f"weave-{seed}", image.astype(np.uint8), class_map)


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
    assert recipe.scale > 0.6
    # One that examples chose fine enough stays, though finer ones were tried as well.
    recipe = with_auto_scale(LEARNING, data_of(train, 4), Choosing(1.0), MACHINE)
    assert 0.6 < recipe.scale <= 1.0


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


def test_another_scale_must_be_surely_better() -> None:
    own = np.array([0.7, 0.8, 0.6, 0.7])
    better = own + np.array([0.06, 0.04, 0.05, 0.05])
    assert surely_better({0.25: own - 0.1, 0.5: better, 1.0: own, 2.0: own}, 1.0) == 0.5
    # A hundredth is what two trainings differ by; and of one piece of four it is chance.
    assert surely_better({0.5: own + 0.01, 1.0: own}, 1.0) == 1.0
    assert surely_better({0.5: own + np.array([0.1, 0.0, 0.02, -0.02]), 1.0: own}, 1.0) == 1.0
    assert surely_better({1.0: own}, 1.0) == 1.0


def test_pieces_that_do_not_tell_leave_the_choice_to_the_examples() -> None:
    nan = math.nan
    few = {0.5: np.array([0.6, 0.9, nan, nan]), 1.0: np.array([0.2, 0.3, nan, nan])}
    assert surely_better(few, 1.0) == 1.0
    assert surely_better({0.5: np.full(8, 0.09), 1.0: np.full(8, 0.02)}, 1.0) == 1.0
