"""What a key could hold in place of an image: all ways begin with the same answer, and learn."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from one_way_config import ONE_WAY
from PIL import Image
from small_networks import random_network

from benchmarks import learned
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.weights import save_weights
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.normalize import normalize


@pytest.fixture
def network() -> OneWaySegGPT:
    network = random_network(ONE_WAY, std=0.1)
    assert isinstance(network, OneWaySegGPT)
    return network


@pytest.mark.parametrize("way", learned.WAYS)
def test_every_way_begins_with_the_prompts_own_answer(network: OneWaySegGPT, way: str) -> None:
    image, colors, query = torch.rand(3, 3, 16, 16)
    prompt = Prompt((image,), (colors,), Palette.of(["thing"]), scale=1.0, canvas=16)
    module = learned.WAYS[way](network, prompt)
    queries = normalize(query[None])
    expected = network.ensemble(queries, normalize(image[None]), normalize(colors[None]))
    answer = network.ensemble(queries, module(network))
    torch.testing.assert_close(answer, expected)
    answer.sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in module.parameters())


def test_the_table_has_all_ways(
    network: OneWaySegGPT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / "road-cracks" / part / kind).mkdir(parents=True)
        for number in range(5):
            mask = np.zeros((40, 40), np.uint8)
            mask[5 : 12 + number, 8:20] = 255
            folder = tmp_path / "data" / "road-cracks" / part
            Image.fromarray(mask[..., None].repeat(3, 2)).save(folder / "images" / f"{number}.png")
            Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    save_weights(network, tmp_path / "tiny.safetensors")
    line = (
        f"learned --data {tmp_path}/data --output {tmp_path}/table.md --tasks cracks --seconds 1 "
        f"--seeds 1 --backbone {tmp_path}/tiny.safetensors"
    )
    monkeypatch.setattr(sys, "argv", line.split())
    monkeypatch.setattr(learned, "CROPS", 4)
    monkeypatch.setattr(learned, "RATES", dict.fromkeys(learned.WAYS, (0.1,)))
    learned.main()
    rows = (tmp_path / "table.md").read_text().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == list(learned.WAYS)
    known = json.loads((tmp_path / "table.json").read_text())
    assert all(run["steps"] > 0 and 0 <= run["dice"] <= 1 for run in known.values())


def test_the_best_rate_is_that_of_the_first_seed() -> None:
    dices = {0.01: 0.5, 0.03: 0.7, 0.1: 0.6}
    known = {f"retina | deep | {rate} | 0 | 9": {"dice": dice} for rate, dice in dices.items()}
    assert learned.best_rate(known, "retina", "deep", 9) == 0.03
