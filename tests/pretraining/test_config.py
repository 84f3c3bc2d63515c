"""Recipes of backbones."""

from dataclasses import replace
from pathlib import Path

import pytest
from pretrain_recipes import ONE_WAY

from prompttune.pretraining.config import PretrainRecipe, read_recipe
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.utils.errors import InputError, forget_warnings


def test_the_numbers_of_prompts_must_leave_a_query(tmp_path: Path) -> None:
    for wrong in ((), (0,), (1, 3)):
        with pytest.raises(InputError, match=r"prompts must lie in 1\.\.2 \(views - 1\)"):
            replace(ONE_WAY, prompts=wrong)
    with pytest.raises(InputError, match="scenes 0: must be"):
        replace(ONE_WAY, scenes=0)
    path = tmp_path / "recipe.yaml"
    path.write_text("views: 5\nprompts: [1, 4]\nscenes: 7\nsets: [{name: a}]\n")
    recipe = read_recipe(path)
    assert (recipe.views, recipe.prompts, recipe.scenes) == (5, (1, 4), 7)
    assert recipe.sets[0].weight is None


RECIPES = sorted((Path(__file__).parents[2] / "recipes" / "pretrain").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_the_backbones_are_read(path: Path) -> None:
    assert read_recipe(path).sets


def test_the_path_of_the_first_version_is_taken_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forget_warnings()
    now = RECIPES[0]
    old = now.parents[1] / f"pretrain-{now.name}"
    assert read_recipe(old) == read_recipe(now)
    assert [record.message for record in caplog.records] == [
        f"{old} is called {now} now; the next version forgets the old name"
    ]
    with pytest.raises(InputError, match=r"pretrain-gone\.yaml: no such recipe"):
        read_recipe(old.with_name("pretrain-gone.yaml"))


def test_fields_of_the_first_version_are_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "old.yaml").write_text(
        "backbone: {depth: 4, merge_block: 1, taps: [2, 3]}\nsets: [{name: a}]\n"
        "mix: {unlabelled: 0.5, colours: fixed}\noptimiser: {lr: 0.5}\n"
    )
    recipe = read_recipe(tmp_path / "old.yaml")
    assert (recipe.backbone.merge_index, recipe.backbone.out_indices) == (1, (2, 3))
    assert (recipe.mix.unlabeled, recipe.mix.colors, recipe.optimizer.lr) == (0.5, "fixed", 0.5)
    said = [record.message.partition(": ")[2].partition(";")[0] for record in caplog.records]
    assert said == [
        "optimiser is called optimizer now",
        "mix.unlabelled is called mix.unlabeled now",
        "mix.colours is called mix.colors now",
        "backbone.merge_block is called backbone.merge_index now",
        "backbone.taps is called backbone.out_indices now",
    ]


def test_a_field_by_both_of_its_names_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "both.yaml"
    recipe.write_text("mix: {unlabelled: 0.5, unlabeled: 0.1}\nsets: [{name: a}]\n")
    with pytest.raises(InputError, match=r"both\.yaml: unlabelled is the old name of unlabeled"):
        read_recipe(recipe)


def test_recipes_in_python_take_the_fields_of_the_first_version() -> None:
    with pytest.warns(DeprecationWarning, match="PretrainRecipe: optimiser is called optimizer"):
        recipe = PretrainRecipe(optimiser=OptimizerConfig(lr=0.5))
    with pytest.warns(DeprecationWarning, match="optimizer now"):
        assert recipe.optimiser.lr == 0.5
    with pytest.warns(DeprecationWarning, match="Mix: unlabelled is called unlabeled"):
        assert Mix(unlabelled=0.5).unlabeled == 0.5
