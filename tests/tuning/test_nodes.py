"""`prompttune tune --devices 2 --nodes 2`, really run: four processes that torchrun starts.

No scale is given, so each process chooses one.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from predicting import backbone as backbone
from torchrun import run_on_two_nodes

from prompttune.cli import tune
from prompttune.keys.key import read_key
from prompttune.tuning.run import CHECKPOINT


def test_four_processes_tune_what_one_tunes(backbone: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(4):
        mask = np.kron(random.integers(0, 2, (4, 4)), np.ones((8, 8))).astype(np.uint8)
        pixels = (mask[..., None] * 120 + random.integers(0, 90, (32, 32, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    words = (
        f"--task custom --classes thing --data {tmp_path / 'data'} --backbone {backbone} "
        "--max_steps 2 --batch 4 --val_crops 4 --min_canvas 0 --score_images 1 --init noise "
        "--device cpu --precision fp32 --name key"
    ).split()
    run_on_two_nodes(
        "prompttune.fit", [*words, "--prompts_zoo", "zoo", "--output", "four"], tmp_path
    )
    one = [*words, "--prompts_zoo", str(tmp_path / "own"), "--output", str(tmp_path / "one")]
    assert tune.main(one) == 0
    states = [
        torch.load(tmp_path / name / CHECKPOINT, weights_only=True)["optimizer_states"][0]["state"]
        for name in ("one", "four")
    ]
    for mine, other in zip(*(state.values() for state in states), strict=True):
        scale = float(mine["exp_avg"].abs().max())
        assert scale > 0
        torch.testing.assert_close(other["exp_avg"], mine["exp_avg"], rtol=1e-3, atol=1e-4 * scale)
    assert read_key(tmp_path / "zoo" / "key")[1].name == "key"
