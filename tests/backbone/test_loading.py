"""Names, paths and devices that are none."""

from pathlib import Path

import pytest
import torch
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network
from backbone_files import write_ours

from prompttune.backbone import SegGPT, load
from prompttune.utils.errors import InputError


def test_unknown_name_and_missing_file(tmp_path: Path):
    with pytest.raises(InputError, match="Did you mean 'seggpt-small'"):
        load("seggpt-smal")
    with pytest.raises(InputError, match="no such backbone file"):
        load(tmp_path / "no.safetensors")
    with pytest.raises(InputError, match="no such backbone file"):
        load(tmp_path / "no")


def test_device_that_is_not_there(network: SegGPT, tmp_path: Path, monkeypatch):
    path = write_ours(network, tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "cuda:1", torch.device("cuda")):
        with pytest.raises(InputError, match="no CUDA device"):
            load(path, device=device)
    with pytest.raises(InputError, match="choose cpu or cuda"):
        load(path, device="gpu")
