"""Backbones on disk: every layout, every kind of bad file, the fingerprint, the command."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from backbone_files import CONFIG, LAYOUTS, write_hub, write_ours
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network
from seggpt_oracle import CONFIGS, half_masked, random_canvas, random_network

from prompttune.backbone import SegGPT, SegGPTConfig, load
from prompttune.backbone.checkpoints import hub_name, official_name, read_checkpoint
from prompttune.backbone.weights import fingerprint
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_network(network: SegGPT, tmp_path: Path, layout: str):
    path = LAYOUTS[layout](network, tmp_path)
    loaded = load(path)

    assert read_checkpoint(path).layout == layout
    assert loaded.config == CONFIG
    assert loaded.name == path.stem
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.fingerprint == fingerprint(network.state_dict())
    image, target = random_canvas(CONFIG, 1)
    inputs = image, target, half_masked(CONFIG, 1), torch.zeros(1, dtype=torch.long)
    assert torch.equal(loaded(*inputs), network(*inputs))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_hub_folder_of_any_size(config: SegGPTConfig, tmp_path: Path):
    network = random_network(config)
    assert load(write_hub(network, tmp_path)).config == config
    assert load(write_ours(network, tmp_path)).config == config


def test_hub_config_without_a_field_means_the_released_value(tmp_path: Path):
    folder = write_hub(random_network(CONFIG), tmp_path)
    values = json.loads((folder / "config.json").read_text())
    for name in ("merge_index", "mlp_dim"):
        values.pop(name)
    (folder / "config.json").write_text(json.dumps(values))
    assert load(folder).config == CONFIG


def test_names_go_there_and_back(network: SegGPT):
    names = list(network.state_dict())
    assert [official_name(hub_name(name)) for name in names] == names
    assert not {hub_name(name) for name in names} & set(names)
    assert official_name("head.weight") == "head.weight"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("left", [0.0, 0.01, 0.5, 0.999])
def test_truncated_file(network: SegGPT, tmp_path: Path, layout: str, left: float):
    path = LAYOUTS[layout](network, tmp_path)
    file = path / "model.safetensors" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[: int(left * file.stat().st_size)])
    with pytest.raises(InputError, match=re.escape(str(file))):
        load(path)


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_pickle_is_not_executed(
    network: SegGPT, tmp_path: Path, write: Callable[[Any, Path], Any]
):
    trace = tmp_path / "executed"
    write({"model": network.state_dict(), "more": Harmful(trace)}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"bad.pth: .*not executed"):
        load(tmp_path / "bad.pth")
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"conv1.weight": torch.zeros(2)}},
        {"epoch": 3},
        [torch.zeros(2)],
        {"model": {}},
        {"model": {"patch_embed.proj.weight": torch.zeros(4)}},
        {"model": {None: torch.zeros(4)}},
        {"model": {"pos_embed": torch.zeros(4).to_sparse()}},
    ],
)
def test_foreign_official_file(tmp_path: Path, content: Any):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other.pth"):
        load(tmp_path / "other.pth")


def test_bare_state_dict_and_old_pickle_format_are_read(network: SegGPT, tmp_path: Path):
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load(tmp_path / "old.pth").fingerprint == fingerprint(network.state_dict())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model_type", "vit", "model_type is 'vit'"),
        ("image_size", [448, 448], "448 x 448"),
        ("image_size", 448, "config.json"),
        ("hidden_act", "relu", "relu"),
        ("num_attention_heads", 3, "heads=3"),
        ("hidden_size", "wide", "config.json"),
    ],
)
def test_hub_folder_of_another_network(
    network: SegGPT, tmp_path: Path, field: str, value: Any, message: str
):
    folder = write_hub(network, tmp_path)
    values = json.loads((folder / "config.json").read_text()) | {field: value}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        load(folder)


def test_hub_folder_lacks_a_file(network: SegGPT, tmp_path: Path):
    folder = write_hub(network, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model.safetensors: no such"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"lacks config.json"):
        load(folder)
