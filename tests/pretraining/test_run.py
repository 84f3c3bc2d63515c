"""Pre-training runs: they learn, and a broken one ends like an unbroken one."""

import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from pretrain_recipes import ONE_WAY, RECIPE, SMALL

from prompttune.backbone import SegGPT, load
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.weights import load_weights
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.init import starting_network
from prompttune.pretraining.module import InContextColoring
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.pretraining.run import STATE, Launch, pretrain
from prompttune.pretraining.state import read_state, read_values
from prompttune.utils.errors import InputError

CPU = Launch("cpu")


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(path)[1]


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def run_until_killed(recipe: PretrainRecipe, output: Path, at: int) -> None:
    """Train in a process that is killed before its step `at` (run in a child)."""
    step = InContextColoring.training_step

    def dies(self, batch, index):
        if self.global_step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, index)

    InContextColoring.training_step = dies
    pretrain(recipe, None, output, CPU)


@pytest.mark.parametrize("name", ["muon+adamw", "adamw"])
def test_a_killed_run_resumes_to_the_same_state(tmp_path: Path, name: str) -> None:
    recipe = replace(RECIPE, optimizer=OptimizerConfig(lr=1e-2, name=name))
    whole = weights(pretrain(recipe, None, tmp_path / "whole", CPU))
    broken = tmp_path / "broken"
    child = multiprocessing.get_context("fork").Process(
        target=run_until_killed, args=(recipe, broken, 5)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert read_values(broken / STATE)["global_step"] == 4
    assert equal(whole, weights(pretrain(recipe, None, broken, CPU, resume=True)))
    states = [read_state(tmp_path / each / STATE) for each in ("whole", "broken")]
    assert equal(*(each["current_model_state"] for each in states))
    for one, other in zip(*(each["optimizer_states"] for each in states), strict=True):
        assert one["param_groups"] == other["param_groups"]
        assert all(equal(one["state"][key], other["state"][key]) for key in one["state"])


def test_slices_of_time_end_with_the_weights_of_one_run(tmp_path: Path) -> None:
    whole = weights(pretrain(RECIPE, None, tmp_path / "whole", CPU))
    for step in range(1, 7):
        result = pretrain(RECIPE, None, tmp_path / "cut", replace(CPU, minutes=0.0), resume=True)
        assert result.is_file()
        assert read_values(tmp_path / "cut" / STATE)["global_step"] == step
    assert equal(whole, weights(result))
    logs = sorted(path.parent.name for path in (tmp_path / "cut").rglob("metrics.csv"))
    assert logs == [f"from-{step}" for step in range(6)]
    result.unlink()
    again = pretrain(RECIPE, None, tmp_path / "cut", CPU, resume=True)  # nothing is left to do
    assert equal(whole, weights(again))


def test_parts_of_a_batch_take_the_same_step(tmp_path: Path) -> None:
    recipe = replace(RECIPE, max_steps=1)
    moments = []
    for accumulate, memory in ((1, "fast"), (3, "saving")):
        each = replace(recipe, accumulate=accumulate, memory=memory)
        pretrain(each, None, tmp_path / memory, CPU)
        muon, adamw = read_state(tmp_path / memory / STATE)["optimizer_states"]
        moments.append(
            [one["momentum_buffer"] for one in muon["state"].values()]
            + [one["exp_avg"] for one in adamw["state"].values()]
        )
    assert any(each.abs().max() > 1e-4 for each in moments[0])
    for one, other in zip(*moments, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


class Tasks:
    """Stands in for samples made on the device: the image shows the index."""

    asked: list[list[int]] = []  # noqa: RUF012

    def __init__(self, canvas: int, patch: int, mix: Mix, seed: int) -> None:
        self.canvas, self.patch = canvas, patch

    def batch(self, indices: torch.Tensor, device: torch.device) -> dict[str, torch.Tensor]:
        self.asked.append(indices.tolist())
        count, size = len(indices), (2 * self.canvas, self.canvas)
        image = (indices.view(-1, 1, 1, 1) / 100).expand(-1, 3, *size)
        return {
            "image": image,
            "target": image,
            "masked": torch.ones(count, 2 * (self.canvas // self.patch) ** 2, dtype=torch.bool),
            "weight": torch.ones(count, 1, *size),
            "seg_type": torch.zeros(count, dtype=torch.long),
        }


def test_the_device_makes_its_share_of_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = ModuleType("on_device")
    fake.DeviceTasks = Tasks  # type: ignore[attr-defined]
    fake.ContextTasks = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "prompttune.pretraining.on_device", fake)
    recipe = replace(RECIPE, generate="device", max_steps=2)
    whole = weights(pretrain(recipe, None, tmp_path / "whole", CPU))  # no data: it makes all
    assert Tasks.asked == [[0, 1, 2, 3], [4, 5, 6, 7]]
    for _ in range(2):
        result = pretrain(recipe, None, tmp_path / "cut", replace(CPU, minutes=0.0), resume=True)
    assert equal(whole, weights(result))


def test_goes_on_from_weights_at_another_canvas(tmp_path: Path) -> None:
    first = pretrain(RECIPE, None, tmp_path / "first", CPU)
    larger = replace(SMALL, canvas=32, pretrain_canvas=32)
    second = pretrain(replace(RECIPE, backbone=larger, init=first), None, tmp_path / "second", CPU)
    network = load(second)
    assert network.config == larger
    assert not any(p.requires_grad for p in network.parameters())


def test_starts_from_the_authors_layout_and_from_a_name(tmp_path: Path) -> None:
    theirs = SegGPT(replace(SMALL, depth=4, merge_index=2, out_indices=(3,)))
    torch.nn.init.normal_(theirs.mask_token)
    path = tmp_path / "official.pth"
    torch.save({"model": theirs.state_dict()}, path)
    ours = starting_network(theirs.config, path, seed=0)
    assert equal(theirs.state_dict(), ours.state_dict())
    tiny = load("seggpt-small")
    assert equal(tiny.state_dict(), starting_network(tiny.config, "seggpt-small", 0).state_dict())
    with pytest.raises(
        InputError, match=r"with depth 4, not 2; merge_index 2, not 0; out_indices \[3\], not \[1\]"
    ):
        starting_network(replace(SMALL, out_indices=(1,)), path, seed=0)


def test_refuses_what_is_another_run(tmp_path: Path) -> None:
    first = weights(pretrain(RECIPE, None, tmp_path, CPU))
    with pytest.raises(InputError, match="--resume"):
        pretrain(RECIPE, None, tmp_path, CPU)
    other = replace(RECIPE, seed=1, max_steps=7, workers=3, mix=Mix(hard=0.1))
    with pytest.raises(InputError, match=r"other max_steps, mix\.hard, seed \(which also shapes"):
        pretrain(other, None, tmp_path, CPU, resume=True)
    other = replace(RECIPE, seed=1)
    assert not equal(first, weights(pretrain(other, None, tmp_path, CPU, overwrite=True)))


def test_a_batch_that_cannot_be_shared_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a batch of 4 cannot be shared evenly by 3 devices"):
        pretrain(RECIPE, None, tmp_path, replace(CPU, devices=3))
    with pytest.raises(InputError, match="--devices"):
        Launch(devices=0)


def write_pool(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "set" / kind).mkdir(parents=True)
    for number in range(4):
        mask = np.zeros((30, 40), np.uint8)
        mask[5:20, 4 * number : 4 * number + 15] = 1
        image = rng.integers(0, 90, (30, 40, 3), np.uint8) + 120 * mask[..., None]
        for kind, values in (("images", image), ("masks", mask)):
            cv2.imwrite(str(folder / "set" / kind / f"{number}.png"), values)
    return folder


@pytest.mark.parametrize("generate", ["device", "loader"])
@pytest.mark.parametrize("with_data", [False, True])
def test_a_one_way_network_is_trained_and_resumed(
    tmp_path: Path, generate: str, with_data: bool
) -> None:
    data = write_pool(tmp_path / "pool") if with_data else None
    recipe = replace(ONE_WAY, generate=generate)
    result = pretrain(recipe, data, tmp_path / "whole", CPU)
    whole = weights(result)
    assert isinstance(load(result), OneWaySegGPT)
    for steps in (1, 2):
        cut = pretrain(recipe, data, tmp_path / "cut", replace(CPU, minutes=0.0), resume=True)
        assert read_values(tmp_path / "cut" / STATE)["global_step"] == steps
    assert equal(whole, weights(cut))
    states = [read_state(tmp_path / each / STATE) for each in ("whole", "cut")]
    assert equal(*(each["current_model_state"] for each in states))
    start = starting_network(recipe.backbone, None, recipe.seed).state_dict()
    learned = {
        name.removeprefix("network."): value
        for name, value in states[0]["current_model_state"].items()
    }
    still = {name for name, value in start.items() if torch.equal(value, learned[name])}
    assert still <= {"type_token_ins", "type_token_cls"}  # of which a batch may have one alone


def test_parts_of_a_batch_of_tasks_take_the_same_step(tmp_path: Path) -> None:
    moments = []
    for accumulate, memory in ((1, "fast"), (4, "saving")):
        recipe = replace(ONE_WAY, generate="device", accumulate=accumulate, memory=memory)
        pretrain(replace(recipe, max_steps=1), None, tmp_path / memory, CPU)
        (adamw,) = read_state(tmp_path / memory / STATE)["optimizer_states"]
        moments.append([one["exp_avg"] for one in adamw["state"].values()])
    assert any(each.abs().max() > 1e-4 for each in moments[0])
    for one, other in zip(*moments, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
