"""Two processes take the step that one takes with the same batch."""

import multiprocessing
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prompttune.backbone import SegGPTConfig
from prompttune.pretraining.optimisers import OptimiserConfig
from prompttune.pretraining.recipe import PretrainRecipe
from prompttune.pretraining.run import STATE, Machine, pretrain
from prompttune.pretraining.state import read_state

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=3, heads=2, merge_block=0, taps=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
RECIPE = PretrainRecipe(SMALL, max_steps=1, batch=6, workers=0, precision="32-true")


def process(rank: int, port: int, recipe: PretrainRecipe, output: Path) -> None:
    """Be one of two processes (run in a child)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", str(rank))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        patch.setenv("MASTER_PORT", str(port))
        pretrain(recipe, None, output, Machine("cpu", devices=2))


def train_by_two(recipe: PretrainRecipe, output: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=process, args=(i, port, recipe, output)) for i in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]


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
    recipe = replace(RECIPE, optimiser=OptimiserConfig(clip=clip), accumulate=accumulate)
    pretrain(replace(recipe, accumulate=1), None, tmp_path / "one", Machine("cpu"))
    train_by_two(recipe, tmp_path / "two")
    one, two = gradients(tmp_path / "one"), gradients(tmp_path / "two")
    norm = torch.stack([each.norm() for each in one]).norm().item()
    assert norm == pytest.approx(0.1, rel=1e-3) if clip == 0.1 else norm > 0.1
    for ours, theirs in zip(one, two, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6 * norm)
