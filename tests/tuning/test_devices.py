"""Two processes take the steps that one takes with the same batch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from two_processes import run_by_two

from prompttune.tuning.run import CHECKPOINT, PROGRESS, Machine, tune
from prompttune.utils.devices import check_devices, take_own_device
from prompttune.utils.errors import InputError

QUIET = Machine(progress=False)


def tune_one(rank: int, output: Path, recipe, network, data) -> None:
    """Be one of two processes (run in a child)."""
    tuned = tune(recipe, network, data, output, replace(QUIET, devices=2))
    torch.save((tuned.prompt.parts[0].images[0], tuned.val_dice), output / f"rank-{rank}.pt")


def gradients(output: Path) -> list[torch.Tensor]:
    """Return the first step's: the first moments are a tenth of them."""
    (adamw,) = torch.load(output / CHECKPOINT, weights_only=True)["optimizer_states"]
    return [one["exp_avg"] / 0.1 for one in adamw["state"].values()]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ["one", "groups"])
def test_the_first_gradients_are_those_of_one_process(
    network, recipe, grouped, data, many, tmp_path, kind: str
) -> None:
    """Crops differ in foreground, so a mean over processes of their losses would not do."""
    recipe, data = (recipe, data) if kind == "one" else (grouped, many)
    recipe = replace(recipe, max_steps=1, batch=3, val_crops=5, foreground_weight=3.0, jitter=0.05)
    tuned = tune(recipe, network, data, tmp_path / "one", QUIET)
    run_by_two(tune_one, tmp_path / "two", recipe, network, data)
    one, two = gradients(tmp_path / "one"), gradients(tmp_path / "two")
    assert len(one) == 2
    for ours, theirs in zip(one, two, strict=True):
        scale = ours.abs().max().item()
        assert scale > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5 * scale)
    ranks = [torch.load(tmp_path / "two" / f"rank-{i}.pt", weights_only=True) for i in range(2)]
    assert torch.equal(ranks[0][0], ranks[1][0])
    assert ranks[0][1] == ranks[1][1]
    assert ranks[0][1] == pytest.approx(tuned.val_dice, abs=0.02)
    torch.testing.assert_close(ranks[0][0], tuned.prompt.parts[0].images[0], rtol=0, atol=5e-3)
    assert len(list((tmp_path / "two" / PROGRESS).iterdir())) == 1


@pytest.mark.parametrize(
    ("devices", "device", "line"),
    [(0, "cpu", "at least 1"), (3, "cpu", "batch of 2 or 4"), (64, "cuda", "CUDA devices here")],
)
def test_devices_that_cannot_be_used_are_refused(devices: int, device: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        check_devices(devices, device, batch=2, val_crops=4)
    check_devices(2, "cpu", batch=2, val_crops=4)
    take_own_device()
