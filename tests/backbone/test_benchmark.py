"""The benchmark runs, and its floor is the number of operations that a counter finds."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from seggpt_oracle import random_network, relative_error
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.backbone_worker import _prepare  # noqa: E402
from benchmarks.work import CONFIGS, TASKS, operations  # noqa: E402


def test_the_benchmark_prints_a_row():
    command = [sys.executable, "-m", "benchmarks.backbone", "step", "--config", "small"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, row = run.stdout.splitlines()
    name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
    assert name == "step"
    assert len(cells) == 7
    assert float(cells[-1]) < 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_both_do_the_same(task: str):
    kind, config = TASKS[task], CONFIGS["small"]
    answers = []
    for implementation in ("ours", "transformers"):
        run, _ = _prepare(implementation, kind, config, batch=2, device="cpu")
        answers.append(run())
    for ours, theirs in zip(*answers, strict=True):
        assert ours.shape == theirs.shape
        assert relative_error(ours.float(), theirs) < (0.1 if kind.bf16 else 1e-4)


@pytest.mark.parametrize("task", ["forward", "forward-cached", "ensemble-4", "step"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_floor_counts_what_is_computed(task: str, batch: int, monkeypatch):
    # What the counter does not know of.
    monkeypatch.setattr("prompttune.backbone.attention.PLAIN_TOKENS", 10**6)
    monkeypatch.setattr("prompttune.backbone.linear._has_onednn", lambda: False)
    config, kind = CONFIGS["small"], TASKS[task]
    network = random_network(config)
    size = (3, config.canvas, config.canvas)
    queries, images = torch.randn(batch, *size), torch.randn(kind.prompts, *size)
    colors = torch.randn_like(images)
    leaves = [x.requires_grad_(kind.step) for x in (images, colors)]
    encoded = network.encode_prompt(*leaves)
    with FlopCounterMode(display=False) as counter:
        inputs = (encoded,) if kind.cached else leaves
        answer = network.ensemble(queries, *inputs)
        if kind.step:
            answer.sum().backward()
    assert operations(kind, config, batch) == pytest.approx(counter.get_total_flops(), rel=0.03)
