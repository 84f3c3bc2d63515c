"""Tuning on a GPU: what is learned there answers there, and on a CPU as well."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from squares import square

import prompttune
from prompttune.inference.segmenter import Segmenter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

SHORT = {"max_steps": 6, "val_every": 3, "batch": 2, "val_crops": 4}


def test_a_key_tuned_there_answers_there_and_on_a_cpu() -> None:
    segmenter = Segmenter(device="cuda", precision="fp32")
    pairs = [(each.image, each.class_map) for each in map(square, range(6))]
    key = prompttune.tune(
        pairs, backbone=segmenter, classes=["square"], precision="fp32", progress=False, **SHORT
    )
    assert next(segmenter.network.parameters()).is_cuda
    there, here = (
        each.predict(square(9).image, key).scores for each in (segmenter, Segmenter(device="cpu"))
    )
    np.testing.assert_allclose(there, here, atol=0.02)


def test_the_commands_tune_and_compare_there(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for seed in range(8):
        sample = square(seed)
        Image.fromarray(sample.image).save(tmp_path / "data" / "images" / f"{seed}.png")
        Image.fromarray(255 * sample.class_map).save(tmp_path / "data" / "masks" / f"{seed}.png")
    shared = f"--data {tmp_path}/data --prompts_zoo {tmp_path}/zoo --device cuda --task custom"
    short = " ".join(f"--{name} {value}" for name, value in SHORT.items())
    rows = "one-shot tuned companion matching linear-probe tuned-decoder"
    lines = (
        f"prompttune.fit {shared} --scale 1 {short} --name squares --output {tmp_path}/run",
        f"prompttune.compare {shared} --prompt squares --rows {rows} --output {tmp_path}/rows",
    )
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", *line.split()], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
