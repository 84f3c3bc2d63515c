"""The key of a comparison: whose split it has, and what does not fit it."""

# ruff: noqa: F811
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from key_fixtures import make, own, shipped  # noqa: F401 (fixtures)

from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError
from prompttune.workflows import contender as workflow
from prompttune.workflows.contender import Contender, bench_of, recipe_of, tuned_here


def test_a_task_of_any_classes_has_the_keys_own_and_its_split(make: Any) -> None:
    _, card = make(task="custom", recipe={"seed": 7, "mask_values": {"9": 1}, "lr": 0.5})
    recipe = recipe_of("custom", card)
    assert recipe.classes == ("vessel", "disc")
    assert (recipe.seed, recipe.mask_values) == (7, {9: 1})
    assert recipe.lr == Recipe.lr or recipe.lr != 0.5, "how it was tuned is no matter"


def test_other_classes_are_refused(make: Any) -> None:
    _, card = make(task="retina")
    with pytest.raises(InputError, match=r"its classes \(vessel, disc\) are not those of task"):
        recipe_of("cracks", card)


def test_without_test_images_the_line_says_what_to_try() -> None:
    data = TaskData([], [], [], "set", "folders", generated=False)
    contender = Contender(Recipe("custom"), data, SimpleNamespace(parts=[None]))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="set: no test images with masks; try --split val"):
        bench_of(contender, None, "test", 4, None, 5, None, 0)  # type: ignore[arg-type]


def test_the_images_of_a_custom_task_choose_the_scale_of_its_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuned = []
    image = torch.zeros(3, 16, 16)
    prompt = Prompt((image,), (image,), Palette.of(["crack"]), scale=1.0, canvas=16)

    def tune(recipe: Recipe, *_: object) -> SimpleNamespace:
        tuned.append(recipe.scale)
        return SimpleNamespace(prompt=prompt)

    monkeypatch.setattr(workflow, "tune_with_companion", tune)
    monkeypatch.setattr(workflow, "with_auto_scale", lambda recipe, *_: replace(recipe, scale=0.3))
    segmenter: Any = SimpleNamespace(network=None, device=torch.device("cpu"))
    data = TaskData([], [], [], "set", "folders", generated=False)
    for task in ("custom", "membranes"):
        tuned_here(task, segmenter, lambda _: data, True, tmp_path)
    assert tuned == [0.3, 0.7]
