"""The cost of a step, counted on nothing, against what a real network has, keeps and computes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prompttune.backbone import SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.cli import pretraining
from prompttune.pretraining.budget import _kept_bytes, _loss, budget, measure
from prompttune.pretraining.config import PretrainRecipe, read_recipe

ROOT = Path(__file__).parents[2]
SIZES = {"base": (768, 12, 136.3), "large": (1024, 24, 370.7), "huge": (1280, 32, 715.3)}
SMALL = SegGPTConfig(
    canvas=64, patch=8, dim=48, depth=4, heads=2, merge_index=1, out_indices=(1, 3), decoder_dim=8,
    pretrain_canvas=64,
)  # fmt: skip
ONE_WAY = replace(SMALL, one_way=True, apart=2, out_indices=(2, 3), match_indices=(0,), pixel_dim=4)


@pytest.mark.parametrize("config", [SMALL, ONE_WAY], ids=["two-way", "one-way"])
def test_parameters_and_memory_are_those_of_a_real_network(config: SegGPTConfig) -> None:
    counted, network = budget(config), build(config).requires_grad_(True)
    for each in network.parameters():
        torch.nn.init.normal_(each, std=0.02)
    assert counted.parameters == sum(each.numel() for each in network.parameters())
    assert counted.state == 20 * counted.parameters
    real = _kept_bytes(network, _loss(network, "cpu"))
    assert counted.activations == pytest.approx(real, rel=0.35)  # attention differs on a CPU
    assert counted.saving < 0.6 * counted.activations


def test_operations_are_those_of_the_formulas() -> None:
    """A plain transformer: 24 T d^2 + 4 T^2 d a block, three times with the way back."""
    counted, tokens, dim = budget(SMALL), SMALL.tokens, SMALL.dim
    streams = SMALL.depth + SMALL.merge_index + 1  # the first blocks run over two
    head_dim = dim / SMALL.heads
    longer = (2 * head_dim + sum(SMALL.grid)) / (2 * head_dim)  # positions join the product
    block = 24 * tokens * dim**2 + 4 * tokens**2 * dim * longer
    size = SMALL.decoder_dim
    pixels = 2 * SMALL.canvas**2
    decoder = 2 * pixels * size * (2 * dim) + 2 * pixels * (9 * size**2 + 3 * size)
    embedding = 2 * 2 * tokens * 3 * SMALL.patch**2 * dim
    forward = streams * block + decoder + embedding
    assert counted.forward_flops == pytest.approx(forward, rel=0.1)
    assert counted.flops == pytest.approx(3 * counted.forward_flops, rel=0.15)


@pytest.mark.parametrize("name", SIZES)
def test_the_recipes_are_of_their_sizes(name: str) -> None:
    recipe, (dim, depth, millions) = (
        read_recipe(ROOT / f"recipes/pretrain/vit-{name}.yaml"),
        SIZES[name],
    )
    assert (recipe.backbone.dim, recipe.backbone.depth) == (dim, depth)
    with torch.device("meta"):
        count = sum(each.numel() for each in build(recipe.backbone).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)
    assert recipe.batch * recipe.max_steps == pytest.approx(18e6, rel=0.05)


def test_real_steps_are_taken_and_told(tmp_path: Path, capsys) -> None:
    seconds, most = measure(PretrainRecipe(SMALL))
    assert seconds > 0
    assert most > 2**26
    recipe = ROOT / "recipes" / "pretrain" / "cpu.yaml"
    assert pretraining.main(["budget", "--recipe", str(recipe)]) == 0
    assert "cpu | " in capsys.readouterr().out
