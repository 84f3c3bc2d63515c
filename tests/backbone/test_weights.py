"""Weights: their fingerprint, their file, and every kind of bad one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network
from backbone_files import write_ours
from safetensors.torch import save_file
from torch import Tensor

from prompttune.backbone import SegGPT, load
from prompttune.backbone.weights import fingerprint, save_weights
from prompttune.utils.errors import InputError


def test_fingerprint_is_of_the_stored_values(network: SegGPT, tmp_path: Path):
    path = write_ours(network, tmp_path)
    half = tmp_path / "half.safetensors"
    save_weights(network, half, torch.bfloat16)

    assert load(path, dtype=torch.bfloat16).fingerprint == load(path).fingerprint
    assert load(half).fingerprint != load(path).fingerprint
    assert next(load(path, dtype=torch.bfloat16).parameters()).dtype == torch.bfloat16
    assert next(load(half).parameters()).dtype == torch.float32

    with torch.no_grad():
        network.mask_token[0, 0, 0, 0] += 1
    assert fingerprint(network.state_dict()) != load(path).fingerprint


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists mapped files")
def test_weights_are_mapped_not_copied(network: SegGPT, tmp_path: Path):
    path = write_ours(network, tmp_path).resolve()
    loaded = load(path)
    address = loaded.blocks[0].mlp.fc1.weight.data_ptr()
    regions = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    mapped = [region[0].split("-") for region in regions if region[-1] == str(path)]
    assert any(int(start, 16) <= address < int(end, 16) for start, end in mapped)


def edited(path: Path, edit: Callable[[dict[str, Tensor]], Any]) -> Path:
    """Write the tensors of our file again after an edit."""
    from prompttune.backbone.weights import read_safetensors

    metadata, tensors = read_safetensors(path)
    edit(tensors)
    save_file(tensors, path.with_name("edited.safetensors"), metadata)
    return path.with_name("edited.safetensors")


def set_value(tensors: dict[str, Tensor], value: float) -> None:
    tensors["pos_embed"] = torch.full_like(tensors["pos_embed"], value)


FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "one missing": (lambda x: x.pop("mask_token"), "missing mask_token"),
    "many missing": (
        lambda x: [x.pop(name) for name in list(x) if name.startswith("blocks.0.attn")],
        r"missing blocks.0.attn.proj.bias, .* and 3 more",
    ),
    "one unknown": (lambda x: x.update(head=torch.zeros(3)), "unknown head"),
    "shape": (
        lambda x: x.update({"blocks.3.attn.rel_pos_h": torch.zeros(3, 8)}),
        r"blocks.3.attn.rel_pos_h has shape \(3, 8\), .* \(15, 8\)",
    ),
    "NaN": (lambda x: set_value(x, torch.nan), "pos_embed .*infinite or NaN"),
    "infinite": (lambda x: set_value(x, torch.inf), "pos_embed .*infinite or NaN"),
    "eight bits": (
        lambda x: x.update(mask_token=x["mask_token"].to(torch.float8_e4m3fn)),
        "mask_token .*float8",
    ),
    "integers": (lambda x: x.update(mask_token=x["mask_token"].int()), "mask_token .*int32"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_tensors_are_named(network: SegGPT, tmp_path: Path, fault: str):
    edit, message = FAULTS[fault]
    path = edited(write_ours(network, tmp_path), edit)
    with pytest.raises(InputError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_foreign_safetensors(tmp_path: Path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no prompttune backbone"):
        load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[1]",
        "{",
        "[" * 100_000,
        '{"size": 3}',
        '{"dim": 15}',
        '{"depth": "many"}',
        '{"out_indices": []}',
    ],
)
def test_damaged_metadata(network: SegGPT, tmp_path: Path, config: str):
    metadata = {"format": "prompttune-backbone", "config": config}
    save_file(network.state_dict(), tmp_path / "odd.safetensors", metadata)
    with pytest.raises(InputError, match=r"odd.safetensors"):
        load(tmp_path / "odd.safetensors")


def test_nothing_half_written_is_left(network: SegGPT, tmp_path: Path, monkeypatch):
    path = write_ours(network, tmp_path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_ours(network, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="modes of files are Unix's")
def test_others_may_read_what_was_written(network: SegGPT, tmp_path: Path):
    """As of any new file; safetensors makes files for the owner alone."""
    usual = tmp_path / "usual"
    usual.touch()
    save_weights(network, tmp_path / "ours.safetensors")
    assert (tmp_path / "ours.safetensors").stat().st_mode == usual.stat().st_mode


def test_a_file_that_may_not_be_read_is_said_to_be_one(network: SegGPT, tmp_path, monkeypatch):
    path = write_ours(network, tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read all
    with pytest.raises(InputError, match="permission denied"):
        load(path)
