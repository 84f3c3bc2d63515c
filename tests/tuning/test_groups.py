"""Classes in groups: each group's prompt learns what it would learn alone, all in one batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.prompts.composition import Composition, changed
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tuning.groups import Relabeled, class_groups, groups_in_turn, relabeling
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.learnable import LearnablePrompt, with_learned
from prompttune.tuning.loss import tuning_loss
from prompttune.tuning.module import PromptTuning
from prompttune.tuning.run import Machine, tune
from prompttune.utils.constants import IGNORE

QUIET = Machine(progress=False)


@pytest.mark.parametrize(
    ("count", "most", "sizes"),
    [(18, 6, [6, 6, 6]), (7, 6, [4, 3]), (6, 6, [6]), (18, 0, [18]), (3, 1, [1, 1, 1])],
)
def test_classes_are_shared_evenly_in_their_order(count: int, most: int, sizes: list[int]) -> None:
    names = [f"class {number}" for number in range(count)]
    groups = class_groups(names, most)
    assert [len(group) for group in groups] == sizes
    assert [name for group in groups for name in group] == names


def test_other_groups_are_background_and_ignored_pixels_stay(many) -> None:
    table = relabeling(("a", "b", "c", "d"), ("c", "d"))
    assert table[[0, 1, 2, 3, 4, IGNORE]].tolist() == [0, 0, 0, 1, 2, IGNORE]
    seen = Relabeled(many.train, table)
    assert len(seen) == len(list(seen)) == len(many.train)
    (first,) = seen[:1]
    for before, after in ((many.train[0], first), (many.train[3], seen[3])):
        assert np.array_equal(after.class_map, table[before.class_map])
        assert after.image is before.image


@pytest.mark.parametrize("init", ["noise", "example", "best-example", "mean", "mosaic"])
def test_every_group_starts_with_its_own_classes(grouped, many, init: str) -> None:
    recipe = replace(grouped, init=init, group=3, classes=grouped.classes[:4])
    start = starting_prompt(recipe, 16, many.train)
    assert isinstance(start, Composition)
    palettes = [Palette.of(names) for names in (["a", "b"], ["c", "d"])]
    assert [part.palette for part in start.parts] == palettes
    assert start.palette.classes == recipe.classes
    assert all(part.images[0].shape == (3, 16, 16) for part in start.parts)


def learnable(grouped, prompts: int = 1) -> LearnablePrompt:
    recipe = replace(grouped, prompts=prompts)
    return LearnablePrompt(starting_prompt(recipe, 16, train=()), 16, "both", bounded=True)


@pytest.mark.parametrize("prompts", [1, 2])
def test_one_batch_answers_as_each_prompt_alone(network, grouped, prompts: int) -> None:
    together = learnable(grouped, prompts)
    queries = torch.rand(3, 3, 16, 16)
    answers = together(network, queries)
    assert answers.shape == (3, 3, 3, 16, 16)
    for part, answer in zip(together.parts, answers, strict=True):
        alone = LearnablePrompt(part, 16, "both", bounded=True)(network, queries)
        torch.testing.assert_close(answer, alone[0], rtol=1e-4, atol=1e-5)


def test_prompts_of_different_sizes_answer_too(network, grouped) -> None:
    one, two = learnable(grouped).parts[0], learnable(grouped, 2).parts[1]
    mixed = LearnablePrompt(Composition([one, two]), 16, "both", bounded=True)
    queries = torch.rand(2, 3, 16, 16)
    alone = LearnablePrompt(two, 16, "both", bounded=True)(network, queries)
    torch.testing.assert_close(mixed(network, queries)[1], alone[0], rtol=1e-4, atol=1e-5)
    learned = with_learned(mixed.start, "f" * 64, mixed.images.detach(), mixed.colors.detach())
    assert [len(part.images) for part in learned.parts] == [1, 2]
    assert all(torch.equal(a, b) for a, b in zip(learned.parts[1].images, two.images, strict=True))


def batch(shown: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    indices = torch.randint(0, len(shown), (2, 16, 16), generator=generator)
    return {
        "image": torch.rand(2, 3, 16, 16, generator=generator),
        "class_map": torch.tensor(shown)[indices],
    }


class OneDevice:
    world_size = 1


def loss_of(module: PromptTuning, crops: dict[str, torch.Tensor], monkeypatch) -> torch.Tensor:
    monkeypatch.setattr(PromptTuning, "trainer", OneDevice())
    monkeypatch.setattr(PromptTuning, "log", lambda *_, **__: None)
    return module.training_step(crops, 0)


def test_gradients_are_those_of_each_group_alone(network, grouped, monkeypatch) -> None:
    """The loss is the mean over groups, each against its own classes."""
    together = learnable(grouped)
    crops = batch((0, 1, 2, 3, 4, IGNORE))
    loss_of(PromptTuning(network, together, grouped), crops, monkeypatch).backward()
    summed = 0.0
    for index, part in enumerate(together.parts):
        alone = LearnablePrompt(part, 16, "both", bounded=True)
        own = torch.zeros_like(crops["class_map"])  # written out by hand
        for number, name in enumerate(part.palette.classes, 1):
            own[crops["class_map"] == grouped.classes.index(name) + 1] = number
        own[crops["class_map"] == IGNORE] = IGNORE
        (answer,) = alone(network, crops["image"])
        loss = tuning_loss(
            answer, own, part.palette, grouped.dice_weight, grouped.color_weight, grouped.beta
        )
        loss.backward()
        summed += loss.item()
        for half in ("images", "colors"):
            ours, theirs = getattr(together, half).grad[index], getattr(alone, half).grad[0]
            torch.testing.assert_close(3 * ours, theirs, rtol=1e-3, atol=1e-6)
    again = loss_of(PromptTuning(network, together, grouped), crops, monkeypatch)
    assert again.item() == pytest.approx(summed / 3, rel=1e-5)


@pytest.mark.parametrize("shown", [(0,), (IGNORE,), (0, 1), (0, 5)])
def test_groups_that_no_crop_shows_are_harmless(network, grouped, monkeypatch, shown) -> None:
    """No NaN, and no loss above what a group that is shown can have."""
    prompt = learnable(grouped)
    module = PromptTuning(network, prompt, replace(grouped, color_weight=0.0))
    loss = loss_of(module, batch(shown), monkeypatch)
    loss.backward()
    assert 0 <= loss.item() <= 1
    assert all(torch.isfinite(each.grad).all() for each in prompt.parameters())


def test_groups_learn_in_turn_those_first_that_are_shown() -> None:
    nothing = torch.zeros(5, dtype=torch.long)
    assert groups_in_turn(nothing, 0, 0) == groups_in_turn(nothing, 3, 5) == [0, 1, 2, 3, 4]
    turns = [groups_in_turn(nothing, step, 2) for step in range(5)]
    assert turns == [[0, 1], [2, 3], [0, 4], [1, 2], [3, 4]], "each twice in five steps"
    shown = torch.tensor([0, 1, 0, 2, 0])
    assert groups_in_turn(shown, 0, 2) == [1, 3]
    assert groups_in_turn(shown, 1, 3) == [1, 3, 4], "then that whose turn it is"


def test_only_the_groups_of_a_step_answer_and_learn(network, grouped, monkeypatch) -> None:
    prompt = learnable(grouped)
    recipe = replace(grouped, groups_a_step=1)
    crops = batch((0, 3, 4))  # the second group's classes
    loss = loss_of(PromptTuning(network, prompt, recipe), crops, monkeypatch)
    loss.backward()
    for half in (prompt.images, prompt.colors):
        moved = half.grad.flatten(1).abs().sum(1) > 0
        assert moved.tolist() == [False, True, False]
    alone = LearnablePrompt(prompt.parts[1], 16, "both", bounded=True)
    (answer,) = alone(network, crops["image"])
    own = torch.tensor([0, 0, 0, 1, 2])[crops["class_map"]]
    expected = tuning_loss(
        answer, own, prompt.parts[1].palette, recipe.dice_weight, recipe.color_weight, recipe.beta
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_run_learns_one_prompt_a_group(network, grouped, many, tmp_path) -> None:
    tuned = tune(grouped, network, many, tmp_path / "run", QUIET)
    assert isinstance(tuned.prompt, Composition)
    assert [part.palette.classes for part in tuned.prompt.parts] == [("a", "b"), ("c", "d"), ("e",)]
    assert {part.fingerprint for part in tuned.prompt.parts} == {network.fingerprint}
    start = starting_prompt(grouped, 16, many.train)
    for before, after in zip(start.parts, tuned.prompt.parts, strict=True):
        assert not torch.equal(before.images[0], after.images[0])
        assert torch.isfinite(after.images[0]).all()
    assert 0 <= tuned.val_dice <= 1
    assert (tuned.precision, tuned.seconds > 0) == ("fp32", True)


def test_no_limit_is_one_prompt(network, grouped, many, tmp_path) -> None:
    tuned = tune(replace(grouped, group=0), network, many, tmp_path / "run", QUIET)
    assert isinstance(tuned.prompt, Prompt)
    assert tuned.prompt.palette == Palette.of(grouped.classes)


def test_fields_change_in_every_prompt(grouped) -> None:
    start = starting_prompt(grouped, 16, train=())
    renamed = changed(start, name="key", threshold=0.25)
    assert {(part.name, part.threshold) for part in renamed.parts} == {("key", 0.25)}
    assert changed(start.parts[0], name="one").parts[0].name == "one"
