"""The large network out of the Hub's cache, or with a word on how to get it."""

import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from backbone_files import fill, write_hub
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network

from prompttune.backbone import SegGPT, hub, load
from prompttune.backbone.weights import fingerprint
from prompttune.cli.backbone import main
from prompttune.utils.errors import InputError


def test_large_network_comes_from_the_cache(network: SegGPT, tmp_path: Path, hub_cache: Path):
    fill(hub_cache, write_hub(network, tmp_path))
    loaded = load("seggpt-vit-large")
    assert loaded.name == "seggpt-vit-large"
    assert loaded.fingerprint == fingerprint(network.state_dict())


def test_neither_cache_nor_network(network: SegGPT, tmp_path: Path, hub_cache: Path):
    message = r"put config.json and model.safetensors from https://huggingface.co/BAAI"
    with pytest.raises(InputError, match=message):
        load("seggpt-vit-large")
    snapshot = fill(hub_cache, write_hub(network, tmp_path))
    (snapshot / "model.safetensors").unlink()  # an interrupted download
    with pytest.raises(InputError, match=message):
        load("seggpt-vit-large")


def test_large_network_without_the_hub_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="pip install huggingface_hub"):
        load("seggpt-vit-large")


def test_download_asks_for_the_two_files(network: SegGPT, tmp_path: Path, hub_cache, monkeypatch):
    asked = {}

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(fill(hub_cache, write_hub(network, tmp_path)))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert main(["download"]) == 0
    assert asked == {
        "repository": "BAAI/seggpt-vit-large",
        "revision": hub.REVISION,
        "allow_patterns": ["config.json", "model.safetensors"],
    }
