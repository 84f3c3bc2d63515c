"""Starting weights: by seed, or of another canvas."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from one_way_config import ONE_WAY

from prompttune.backbone.one_way import build
from prompttune.backbone.weights import save_weights
from prompttune.pretraining.init import initialize, starting_network
from prompttune.utils.errors import InputError


def test_one_seed_gives_one_network() -> None:
    first, again, other = (starting_network(ONE_WAY, None, seed) for seed in (0, 0, 1))
    states = [each.state_dict() for each in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_biases_and_relative_positions_start_at_zero_and_matching_at_the_features() -> None:
    network = build(ONE_WAY)
    initialize(network, 0)
    for name, value in network.named_parameters():
        if "rel_pos" in name or (name.endswith("bias") and "norm" not in name):
            assert not value.any(), name
    eyes = [value for name, value in network.named_parameters() if "projections" in name]
    assert eyes
    assert all(torch.equal(each, torch.eye(*each.shape)) for each in eyes)


def test_a_larger_canvas_takes_the_same_weights(tmp_path: Path) -> None:
    network = starting_network(ONE_WAY, None, 0)
    save_weights(network, tmp_path / "a.safetensors", torch.float32)
    larger = replace(ONE_WAY, canvas=32)
    grown = starting_network(larger, tmp_path / "a.safetensors", 5).state_dict()
    for name, value in network.state_dict().items():
        if value.shape == grown[name].shape:
            torch.testing.assert_close(grown[name], value)
    with pytest.raises(InputError, match="depth 4, not 5"):
        starting_network(replace(ONE_WAY, depth=5), tmp_path / "a.safetensors", 0)
