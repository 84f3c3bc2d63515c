"""The key of a comparison: whose split it has, and what does not fit it."""

# ruff: noqa: F811
from types import SimpleNamespace
from typing import Any

import pytest
from key_fixtures import make, own, shipped  # noqa: F401 (fixtures)

from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError
from prompttune.workflows.contender import Contender, bench_of, recipe_of


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
