"""Weights in a byte each: their rounding, their file, and every kind of bad one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from seggpt_oracle import half_masked, random_canvas, random_network
from torch import Tensor

from prompttune.backbone import SegGPT, SegGPTConfig, load
from prompttune.backbone.int8 import decode, encode
from prompttune.backbone.weights import fingerprint, load_weights, read_safetensors, save_weights
from prompttune.cli.backbone import main
from prompttune.pretraining.init import starting_network
from prompttune.utils.errors import InputError

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=32, depth=3, heads=2, merge_index=0, out_indices=(1, 2), decoder_dim=8,
    pretrain_canvas=12,
)  # fmt: skip
FC1 = "blocks.1.mlp.fc1.weight"


@pytest.fixture
def network() -> SegGPT:
    return random_network(CONFIG)


@pytest.fixture
def path(network: SegGPT, tmp_path: Path) -> Path:
    save_weights(network, tmp_path / "bytes.safetensors", torch.int8)
    return tmp_path / "bytes.safetensors"


def test_rounding_is_nearest_and_exact_where_it_can_be():
    weight = torch.tensor([[-127.0, 3.0, 2.6], [0.0, 0.0, 0.0], [1e-38, -1e-39, 0.0]])
    stored = encode({"a.weight": weight, "a.bias": weight[0].bfloat16()})
    assert stored["a.weight"].tolist()[:2] == [[-127, 3, 3], [0, 0, 0]]
    assert stored["a.weight.scale"].tolist()[:2] == [1, 0]
    values = dict(decode(stored))
    assert values.keys() == {"a.weight", "a.bias"}
    assert values["a.weight"].tolist()[:2] == [[-127, 3, 3], [0, 0, 0]]
    assert values["a.bias"].dtype == torch.float32


def test_no_value_is_further_off_than_half_a_step(network: SegGPT):
    weights = network.state_dict()
    values = dict(decode(encode(weights)))
    assert values.keys() == weights.keys()
    for name, value in weights.items():
        if name.endswith(".weight") and value.ndim > 1:
            rows, found = value.flatten(1), values[name].flatten(1)
            step = rows.abs().amax(1, keepdim=True) / 127
            assert ((found - rows).abs() <= 0.5001 * step).all()
        else:
            assert torch.equal(values[name], value)


def test_only_the_weights_of_layers_are_rounded(path: Path):
    stored = load_file(path)
    small = {name for name, value in stored.items() if value.dtype == torch.int8}
    assert small == {name.removesuffix(".scale") for name in stored if name.endswith(".scale")}
    assert {"patch_embed.proj.weight", "decoder_pred.0.weight", FC1} <= small
    assert not {"pos_embed", "norm.weight", "blocks.0.attn.rel_pos_h"} & small
    assert {value.dtype for name, value in stored.items() if name not in small} == {torch.float32}


def test_loading_is_exact(network: SegGPT, path: Path):
    loaded, expected = load(path), dict(decode(encode(network.state_dict())))
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    stored = load_file(path)
    row = stored[FC1][3].float() * stored[f"{FC1}.scale"][3]
    assert torch.equal(loaded.blocks[1].mlp.fc1.weight[3], row)
    half = load(path, dtype=torch.bfloat16)
    assert torch.equal(half.blocks[1].mlp.fc1.weight[3], row.bfloat16())
    assert half.fingerprint == loaded.fingerprint


def test_the_answer_is_near(network: SegGPT, path: Path):
    image, target = random_canvas(CONFIG, 1)
    inputs = image, target, half_masked(CONFIG, 1), torch.zeros(1, dtype=torch.long)
    exact, ours = network(*inputs), load(path)(*inputs)
    assert (ours - exact).square().mean() < 0.01 * exact.var()


def test_fingerprint_is_of_whole_numbers_and_scales(path: Path):
    found = load(path).fingerprint
    assert found == fingerprint(load_weights(path)[1]) == fingerprint(load_file(path))
    for name in (FC1, f"{FC1}.scale"):
        spoiled = edited(path, lambda x, name=name: x[name].view(-1)[:1].add_(1))
        assert load(spoiled).fingerprint != found


def test_training_can_start_from_it(path: Path):
    expected = load(path).state_dict()
    state = starting_network(CONFIG, path, seed=0).state_dict()
    close = (torch.allclose(value, expected[name], atol=1e-6) for name, value in state.items())
    assert all(close)


def test_command_casts_there_and_back(network: SegGPT, tmp_path: Path, path: Path, capsys):
    exact, new = tmp_path / "exact.safetensors", tmp_path / "new.safetensors"
    save_weights(network, exact, torch.float32)
    main(["convert", str(exact), str(new), "--dtype", "int8"])
    lines = capsys.readouterr().out
    assert "layout: prompttune, float32 and int8" in lines
    assert f"parameters: {sum(x.numel() for x in network.state_dict().values()):,}" in lines
    assert load(new).fingerprint == load(path).fingerprint
    main(["convert", str(new), str(exact), "--dtype", "int8"])
    assert load(exact).fingerprint == load(path).fingerprint
    main(["convert", str(new), str(exact), "--dtype", "float32"])
    expected = dict(decode(load_file(new)))
    stored = load_file(exact)
    assert stored.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in stored.items())


def edited(path: Path, edit: Callable[[dict[str, Tensor]], Any]) -> Path:
    """Write the tensors of a file again after an edit."""
    metadata, tensors = read_safetensors(path)
    tensors = {name: value.clone() for name, value in tensors.items()}
    edit(tensors)
    save_file(tensors, path.with_name("edited.safetensors"), metadata)
    return path.with_name("edited.safetensors")


SCALE = f"{FC1}.scale"
FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "no scale": (lambda x: x.pop(SCALE), f"{FC1} is int8, but its {SCALE} is missing"),
    "no matrix": (lambda x: x.pop(FC1), f"missing {FC1}; unknown {SCALE}"),
    "scales of another matrix": (
        lambda x: x.update({SCALE: torch.ones(3)}),
        rf"{SCALE} is torch.float32 of shape \(3,\), no .* each row of \(128, 32\)",
    ),
    "scales in half": (lambda x: x.update({SCALE: x[SCALE].half()}), f"{SCALE} is torch.float16"),
    "NaN": (lambda x: x[SCALE].fill_(torch.nan), f"{SCALE} holds values"),
    "infinite": (lambda x: x[SCALE].fill_(torch.inf), f"{SCALE} holds values"),
    "negative": (lambda x: x[SCALE].neg_(), f"{SCALE} holds values"),
    "shape": (
        lambda x: x.update({FC1: x[FC1][:, :3].contiguous()}),
        rf"{FC1} has shape \(128, 3\), .* \(128, 32\)",
    ),
    "scale of a floating matrix": (lambda x: x.update({FC1: x[FC1].float()}), f"unknown {SCALE}"),
    "a byte alone": (
        lambda x: x.update({"norm.bias": x["norm.bias"].to(torch.int8)}),
        "norm.bias is int8, but its norm.bias.scale is missing",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_bytes_are_one_line(path: Path, fault: str):
    edit, message = FAULTS[fault]
    spoiled = edited(path, edit)
    with pytest.raises(InputError, match=message) as raised:
        load(spoiled)
    assert str(spoiled) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_truncated_file_is_one_line(path: Path, left: float):
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with pytest.raises(InputError, match=re.escape(str(path))):
        load(path)
