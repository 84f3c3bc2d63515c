"""Two processes take the step that one takes with the same batch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from two_processes import run_by_two

from prompttune.backbone import SegGPTConfig
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.pretraining.run import STATE, Launch, pretrain
from prompttune.pretraining.state import read_state

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
RECIPE = PretrainRecipe(SMALL, max_steps=1, batch=6, workers=0, precision="32-true")


def train(_: int, recipe: PretrainRecipe, output: Path) -> None:
    """Be one of two processes (run in a child)."""
    pretrain(recipe, None, output, Launch("cpu", devices=2))


def gradients(output: Path) -> list[torch.Tensor]:
    """Return what the first moments hold after one step: the clipped gradients, scaled."""
    muon, adamw = read_state(output / STATE)["optimizer_states"]
    assert len(muon["state"]) == 9  # two blocks and the decoder; the third block never learns
    return [one["momentum_buffer"] / 0.05 for one in muon["state"].values()] + [
        one["exp_avg"] / 0.1 for one in adamw["state"].values()
    ]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("clip", "accumulate"), [(1e6, 1), (0.1, 2)])
def test_first_gradients_are_those_of_one_process(
    tmp_path: Path, clip: float, accumulate: int
) -> None:
    """Weights of samples differ, so a mean over processes of means over pixels would not do."""
    recipe = replace(RECIPE, optimizer=OptimizerConfig(clip=clip), accumulate=accumulate)
    pretrain(replace(recipe, accumulate=1), None, tmp_path / "one", Launch("cpu"))
    run_by_two(train, recipe, tmp_path / "two")
    one, two = gradients(tmp_path / "one"), gradients(tmp_path / "two")
    norm = torch.stack([each.norm() for each in one]).norm().item()
    assert norm == pytest.approx(0.1, rel=1e-3) if clip == 0.1 else norm > 0.1
    for ours, theirs in zip(one, two, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6 * norm)
