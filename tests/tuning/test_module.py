"""The module: its rate, its averages and what a checkpoint keeps."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from prompttune.tuning.init import starting_prompt
from prompttune.tuning.learnable import LearnablePrompt
from prompttune.tuning.module import PromptTuning, warm_cosine
from prompttune.utils.errors import InputError


def module(network, recipe, data, **changes) -> PromptTuning:
    recipe = replace(recipe, **changes)
    start = starting_prompt(recipe, 16, data.train)
    return PromptTuning(network, LearnablePrompt(start, 16, recipe.learn, recipe.bounded), recipe)


def test_the_rate_rises_and_falls_along_a_cosine() -> None:
    rates = [warm_cosine(step, 10, 0.2) for step in range(11)]
    falling = [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(9)]
    assert rates == pytest.approx([0.5, 1.0, *falling])


def test_the_network_stays_in_eval_mode(network, recipe, data) -> None:
    tuning = module(network, recipe, data).train()
    assert tuning.training
    assert tuning.prompt.training
    assert not tuning.network.training
    assert not any(value.requires_grad for value in tuning.network.parameters())


def test_checkpoints_hold_what_was_learned_alone(network, recipe, data) -> None:
    tuning = module(network, recipe, data)
    checkpoint = {"state_dict": tuning.state_dict()}
    tuning.best, tuning.stale = {"dice": 0.5, "step": 2}, 1
    tuning.on_save_checkpoint(checkpoint)
    assert {name.split(".")[0] for name in checkpoint["state_dict"]} == {"prompt"}
    other = module(network, recipe, data)
    other.on_load_checkpoint(checkpoint)
    assert (other.best, other.stale) == (tuning.best, 1)
    assert other.seconds >= checkpoint["seconds"]


def test_what_is_validated_is_the_average_where_one_is_asked_for(network, recipe, data) -> None:
    assert module(network, recipe, data).kept is not module(network, recipe, data, ema=0.9).average
    averaged = module(network, recipe, data, ema=0.9)
    assert averaged.kept is averaged.average
    assert not any(value.requires_grad for value in averaged.kept.parameters())


def test_the_type_token_has_a_rate_of_its_own(network, recipe, data) -> None:
    start = starting_prompt(recipe, 16, data.train)
    prompt = LearnablePrompt(start, 16, "both", True, type_dim=16)
    tuning = PromptTuning(network, prompt, replace(recipe, type_lr=0.5, weight_decay=0.1))
    pixels, shifts = tuning.configure_optimizers()["optimizer"].param_groups
    assert (pixels["weight_decay"], shifts["weight_decay"]) == (0.1, 0.0)
    assert shifts["initial_lr"] == 0.5
    assert torch.equal(shifts["params"][0], torch.zeros(1, 16))


@pytest.mark.parametrize("other", [0.5, 0.7])
def test_processes_of_different_scales_do_not_tune_together(
    network, recipe, data, other: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = module(network, recipe, data, scale=0.5)
    monkeypatch.setattr(PromptTuning, "trainer", SimpleNamespace(world_size=2))
    tuning.all_gather = lambda own: torch.stack([own, torch.tensor(other)])
    if other == 0.5:
        tuning.on_fit_start()
        return
    with pytest.raises(InputError, match=r"scale 0.5, another 0.7; give all of them the same"):
        tuning.on_fit_start()
