"""Two processes that share a network take the step that one takes with the whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from two_processes import run_by_two

from prompttune.backbone import SegGPTConfig
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.pretraining.run import STATE, Launch, pretrain
from prompttune.pretraining.state import read_state, read_values
from prompttune.utils.errors import InputError

TWO_WAY = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
ONE_WAY = replace(
    TWO_WAY, one_way=True, apart=1, match_indices=(0,), out_indices=(1, 2), pixel_dim=4
)
ADAMW = OptimizerConfig(name="adamw", clip=1e6)
RECIPE = PretrainRecipe(
    TWO_WAY, optimizer=ADAMW, max_steps=1, batch=6, workers=0, precision="32-true", ema=0.5
)


def train(_: int, recipe: PretrainRecipe, output: Path, **launch) -> None:
    """Be one of two processes (run in a child)."""
    how = Launch("cpu", devices=2, strategy="fsdp", **launch)
    pretrain(recipe, None, output, how, resume=True)


def one_step(rank: int, recipe: PretrainRecipe, output: Path) -> None:
    """Be one of two processes that are stopped after a step (run in a child)."""
    train(rank, recipe, output, minutes=0.0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("config", [TWO_WAY, ONE_WAY], ids=["two-way", "one-way"])
def test_first_gradients_are_those_of_one_process(tmp_path: Path, config: SegGPTConfig) -> None:
    """The first moments are a tenth of them."""
    recipe = replace(RECIPE, backbone=config)
    pretrain(recipe, None, tmp_path / "one", Launch("cpu"))
    run_by_two(train, recipe, tmp_path / "two")
    one, two = (read_state(tmp_path / name / STATE) for name in ("one", "two"))
    (ours,), (theirs,) = one["optimizer_states"], two["optimizer_states"]
    gradients = [each["exp_avg"] / 0.1 for each in ours["state"].values()]
    names = [name for name in one["state_dict"] if name.startswith("network.")]
    assert len(gradients) > 20
    norm = torch.stack([each.norm() for each in gradients]).norm().item()
    assert norm > 0.01
    shared = [each["exp_avg"] / 0.1 for each in theirs["state"].values()]
    assert len(shared) == len(gradients)
    for mine, other in zip(gradients, shared, strict=True):
        torch.testing.assert_close(other, mine, rtol=1e-4, atol=1e-6 * norm)
    for name in names:
        # AdamW makes a step of the rate's size out of the least gradient, and of its rounding.
        torch.testing.assert_close(
            two["state_dict"][name], one["state_dict"][name], rtol=1e-3, atol=ADAMW.lr / 50
        )
    assert (tmp_path / "two" / "backbone.safetensors").is_file()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("config", [TWO_WAY, ONE_WAY], ids=["two-way", "one-way"])
def test_a_run_goes_on_with_shares_and_without(tmp_path: Path, config: SegGPTConfig) -> None:
    """A step by two, one by one device, one by two again, beside three by one without a stop."""
    recipe = replace(RECIPE, backbone=config, max_steps=3)
    pretrain(recipe, None, tmp_path / "one", Launch("cpu"))
    cut = tmp_path / "cut"
    run_by_two(one_step, recipe, cut)
    assert read_values(cut / STATE)["global_step"] == 1
    pretrain(recipe, None, cut, Launch("cpu", minutes=0.0), resume=True)
    assert read_values(cut / STATE)["global_step"] == 2
    run_by_two(train, recipe, cut)
    one, other = (read_state(path / STATE) for path in (tmp_path / "one", cut))
    assert other["global_step"] == 3
    assert other["averaging_state"]["n_averaged"] == one["averaging_state"]["n_averaged"] == 3
    for kind in ("state_dict", "current_model_state"):
        assert list(one[kind]) == list(other[kind])
        for name, value in one[kind].items():
            # A step moves weights by 1.5e-3. Biases of keys have no gradient but rounding's.
            torch.testing.assert_close(other[kind][name], value, rtol=1e-3, atol=1e-4)
    (mine,), (theirs,) = one["optimizer_states"], other["optimizer_states"]
    assert json.dumps(mine["param_groups"]) == json.dumps(theirs["param_groups"])
    for number, moments in mine["state"].items():
        own = theirs["state"][number]
        assert own["step"] == moments["step"]
        scale = float(moments["exp_avg"].abs().max())
        torch.testing.assert_close(own["exp_avg"], moments["exp_avg"], rtol=1e-3, atol=1e-3 * scale)


def test_what_shares_cannot_do_is_refused(tmp_path: Path) -> None:
    launch = Launch("cpu", devices=2, strategy="fsdp")
    with pytest.raises(InputError, match=r"muon.adamw needs whole matrices"):
        pretrain(replace(RECIPE, optimizer=OptimizerConfig()), None, tmp_path / "run", launch)
