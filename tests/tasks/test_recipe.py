"""Every shipped recipe is understood; wrong ones are one clear error."""

from pathlib import Path

import pytest

from prompttune.cli.tune import parse
from prompttune.tasks import recipe as recipes
from prompttune.tasks.recipe import Recipe, load_recipe, recipe_values, task_names
from prompttune.utils.errors import InputError, forget_warnings


@pytest.mark.parametrize("task", task_names())
def test_every_shipped_recipe_is_understood(task: str) -> None:
    recipe = load_recipe(task)
    assert recipe.task == task
    assert set(recipe_values(task)) - {"task"} <= set(recipe.to_dict())


def test_overrides_win() -> None:
    assert load_recipe("retina", {"lr": 0.5}).lr == 0.5


def test_unknown_task_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'retina'"):
        load_recipe("retinna")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("colour: 1", "unknown field .colour."), ("- a", "not a mapping"), ("a: [", "not valid YAML")],
)
def test_a_broken_recipe_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "odd.yaml").write_text(text)
    monkeypatch.setattr(recipes, "shipped_folder", lambda _: tmp_path)
    with pytest.raises(InputError, match=rf"odd\.yaml: {complaint}"):
        load_recipe("odd")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0.0},
        {"lr": -1.0},
        {"max_steps": 0},
        {"overlap": 1.0},
        {"val_fraction": 0.0},
        {"seed": -1},
        {"init": "generated"},
        {"dice_weight": 0.0, "color_weight": 0.0},
    ],
)
def test_values_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=f"recipe: .*{next(iter(wrong))}"):
        Recipe("task", **wrong)


def test_names_of_the_first_version_are_taken_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forget_warnings()
    recipe = load_recipe("retina", {"colour_weight": 0.5, "learn": "colours"})
    assert (recipe.color_weight, recipe.learn) == (0.5, "colors")
    said = [record.message for record in caplog.records]
    assert "colour_weight is called color_weight now" in said[0]
    assert "learn colours is called colors now" in said[1]
    assert parse(["--task", "retina", "--colour_weight=0.5", "--learn", "colours"])[1] == recipe


def test_a_recipe_in_python_takes_the_name_of_the_first_version() -> None:
    with pytest.warns(DeprecationWarning, match="Recipe: colour_weight is called color_weight"):
        recipe = Recipe("task", colour_weight=0.5)
    with pytest.warns(DeprecationWarning, match="the next version forgets colour_weight"):
        assert recipe.colour_weight == recipe.color_weight == 0.5


def test_a_value_under_both_of_its_names_is_refused() -> None:
    with pytest.raises(InputError, match="colour_weight is the old name of color_weight; give one"):
        load_recipe("retina", {"colour_weight": 0.5, "color_weight": 0.2})
