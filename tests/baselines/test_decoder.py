"""Beside a prompt the last two convolutions of a decoder are learned, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import random_network

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.baselines import decoder
from prompttune.baselines.decoder import tune_with_decoder
from prompttune.baselines.rows import Rivals
from prompttune.evaluation.comparison import Bench
from prompttune.inference.segmenter import Segmenter
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.run import Machine, tune

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=3, heads=2, one_way=True, apart=2, match_indices=(0, 1),
    out_indices=(2,), image_indices=(0,), pixel_dim=4, decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
RECIPE = Recipe(task="squares", max_steps=20, val_every=2, batch=2, val_crops=4, lr=0.05)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn so fast that some step is better than the start, which is kept else."""
    monkeypatch.setattr(decoder, "LR", 0.05)


@pytest.fixture
def network() -> SegGPT:
    return random_network(CONFIG)


def test_only_the_tail_changes_and_only_in_a_copy(
    network: SegGPT, data: TaskData, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in network.named_parameters()}
    start = tune(RECIPE, network, data, tmp_path / "key", Machine(progress=False)).prompt
    machine = Machine(progress=False)
    tuned, own = tune_with_decoder(start, RECIPE, network, data, tmp_path / "more", machine)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    changed = {name for name, value in own.named_parameters() if not value.equal(before[name])}
    tail = {f"decoder_pred.mix.{index}.{kind}" for index in (3, 6) for kind in ("weight", "bias")}
    assert changed == tail
    assert not any(parameter.requires_grad for parameter in own.parameters())
    assert not tuned.prompt.parts[0].images[0].equal(start.parts[0].images[0])


def test_the_best_validation_is_what_comes_back(
    network: SegGPT, data: TaskData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tune(RECIPE, network, data, tmp_path / "key", Machine(progress=False)).prompt
    wild = replace(RECIPE, max_steps=12, lr=5.0)  # so that the last step is seldom the best
    machine = Machine(progress=False)
    monkeypatch.setattr("prompttune.baselines.decoder.LR", 0.5)
    tuned, own = tune_with_decoder(start, wild, network, data, tmp_path / "more", machine)
    again = tune(
        replace(wild, max_steps=1, lr=1e-12), own, data, tmp_path / "check", machine,
        start=tuned.prompt,
    )  # fmt: skip
    assert again.val_dice == pytest.approx(tuned.val_dice, abs=1e-4)


def test_rows_that_answer_by_another_network(
    network: SegGPT, data: TaskData, tmp_path: Path
) -> None:
    machine = Machine(progress=False)
    key = tune(RECIPE, network, data, tmp_path / "key", machine).prompt
    segmenter = Segmenter(network, precision="fp32")
    bench = Bench(segmenter, key, 16, data.train, data.val, data.test, examples=2)
    rivals = Rivals(segmenter, RECIPE, data, machine, 0.1, 0.1, tmp_path)
    assert rivals.impossible(bench) == {"observer"}
    image = data.test[0].image
    own = segmenter.predict(image, key, overlap=bench.overlap).scores
    matching, decoder = rivals.matching(bench), rivals.tuned_decoder(bench)
    assert [each.name for each in matching] == [
        f"matching: {sample.name}" for sample in bench.drawn[:2]
    ]
    for candidate in (*matching, *decoder):
        scores = candidate.scores("", image)
        assert scores is not None
        assert scores.shape == (1, 40, 40)
        assert not np.allclose(scores, own, atol=1e-4)
    assert "tuned-decoder" in rivals.histories
