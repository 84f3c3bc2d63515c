"""`--devices 2 --nodes 2`, really run: four processes that torchrun starts as two nodes."""

from pathlib import Path

import pytest
import torch
import yaml
from torchrun import run_on_two_nodes

from prompttune.pretraining.config import read_recipe
from prompttune.pretraining.run import STATE, Launch, pretrain
from prompttune.pretraining.state import read_state

RECIPE = {
    "backbone": {
        "canvas": 16, "patch": 8, "dim": 16, "depth": 2, "heads": 2, "merge_index": 0,
        "out_indices": [0, 1], "decoder_dim": 4, "pretrain_canvas": 16,
    },
    "optimizer": {"name": "adamw", "clip": 1e6},
    "max_steps": 2, "batch": 8, "workers": 0, "precision": "32-true", "ema": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_four_processes_train_what_one_trains(tmp_path: Path, strategy: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    words = ["--recipe", str(recipe), "--output", "run", "--device=cpu", f"--strategy={strategy}"]
    printed = run_on_two_nodes("prompttune.pretrain", words, tmp_path)
    assert sum("weights:" in each for each in printed) == 1  # the first process alone says so
    pretrain(read_recipe(recipe), None, tmp_path / "one", Launch("cpu"))
    one, four = (read_state(tmp_path / name / STATE) for name in ("one", "run"))
    for mine, other in zip(
        one["optimizer_states"][0]["state"].values(),
        four["optimizer_states"][0]["state"].values(),
        strict=True,
    ):
        scale = mine["exp_avg"].abs().max()
        torch.testing.assert_close(
            other["exp_avg"], mine["exp_avg"], rtol=1e-3, atol=float(1e-4 * scale)
        )
