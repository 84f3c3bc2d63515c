"""The benchmarks run, and where they compare answers, these agree."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import one_way, prediction, scale, selection
from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.pretraining.config import read_recipe


def table(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return the rows of the Markdown table that was printed, by their first cell."""
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {first: cells for first, *cells in rows}


def test_both_loops_give_the_same_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["prediction", "--images", "2", "--size", "80", "--repeats", "1"]
    )
    prediction.main()
    rows = table(capsys)
    assert [cells[0] for cells in rows.values()] == ["1", "1", "4"], "windows an image"
    assert list(rows) == ["one-shot", "ensemble of 8", "tuned"]
    assert all(float(cells[-1]) < 1e-5 for cells in rows.values())


def save_split(folder: Path) -> None:
    """Write a small folder in the split layout."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 2)):
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((20, 20), np.uint8)
            mask[5:12, number : number + 8] = 255
            image = generator.integers(0, 100, (20, 20, 3), np.uint8) + mask[..., None] // 2
            Image.fromarray(image).save(folder / part / "images" / f"{number}.png")
            Image.fromarray(mask).save(folder / part / "masks" / f"{number}.png")


def save_backbone(folder: Path) -> None:
    config = SegGPTConfig(
        canvas=16,
        patch=4,
        dim=16,
        depth=4,
        heads=2,
        out_indices=(2, 3),
        decoder_dim=4,
        pretrain_canvas=16,
    )
    network = SegGPT(config).requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    save_weights(network, folder / "small.safetensors")


def test_ways_of_choosing_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_split(tmp_path)
    save_backbone(tmp_path)
    words = ["--data", tmp_path, "--shots", 1, 2, "--draws", 2, "--backbone"]
    line = ["selection", *words, tmp_path / "small.safetensors"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in line])
    selection.main()
    rows = table(capsys)
    assert list(rows) == ["1", "2"]
    for _, best, diverse, nearest in rows.values():
        assert all(0 <= float(value) <= 1 for value in (best, diverse, nearest))


def test_the_chosen_scale_is_compared_with_a_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_split(tmp_path / "road-cracks")
    save_backbone(tmp_path)
    words = ["--data", tmp_path, "--choices", 2, "--threads", 1, "--backbone"]
    line = ["scale", *words, tmp_path / "small.safetensors"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in line])
    scale.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[0] for row in cells] == ["road-cracks"] * 2 + ["**road-cracks**"]
    assert all(0 <= float(row[column]) <= 1 for row in cells for column in (3, 5))
    mean = sum(float(row[3]) for row in cells[:2]) / 2
    assert float(cells[2][3]) == pytest.approx(mean, abs=0.001)


def test_layouts_of_one_size_are_timed_in_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replace(
        read_recipe(one_way.RECIPE).backbone,
        one_way=False, apart=0, class_token=False, match_indices=(), image_indices=(), pixel_dim=0,
        out_indices=one_way.TWO_WAY.out_indices, merge_index=one_way.TWO_WAY.merge_index,
    ) == one_way.TWO_WAY  # fmt: skip
    sizes = {"canvas": 16, "patch": 8, "dim": 16, "heads": 2, "decoder_dim": 4}
    small = replace(one_way.TWO_WAY, **sizes, pretrain_canvas=16)
    monkeypatch.setattr(one_way, "TWO_WAY", small)
    recipe = replace(small, one_way=True, apart=2, match_indices=(1,), out_indices=(11,))
    (tmp_path / "recipe.yaml").write_text(json.dumps({"backbone": recipe.to_dict()}))
    monkeypatch.setattr(one_way, "RECIPE", tmp_path / "recipe.yaml")
    monkeypatch.setattr(sys, "argv", ["one_way", "--repeats", "2", "--threads", "1"])
    one_way.main()
    rows = table(capsys)
    assert list(rows) == list(one_way.TASKS)
    for two, one, ratio in rows.values():
        assert float(two.removesuffix(" ms")) > 0
        assert float(one.removesuffix(" ms")) > 0
        best, spread = ratio.split(" ")
        low, high = map(float, spread.strip("()").split("-"))
        assert low <= high
        assert float(best.strip("*")) > 0
