"""A small random backbone, written in every layout; and a cache of the Hub without a network."""

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from seggpt_oracle import hub_config, random_network
from transformers import SegGptForImageSegmentation

from prompttune.backbone import SegGPT, SegGPTConfig, hub
from prompttune.backbone.checkpoints import hub_name
from prompttune.backbone.weights import save_weights

# As the released network in what an official file cannot tell: the streams merge after block 2, and
# the decoder reads blocks at equal distances.
CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=6, heads=2, merge_index=2, out_indices=(2, 5), decoder_dim=8,
    pretrain_canvas=12,
)  # fmt: skip


@pytest.fixture
def network() -> SegGPT:
    return random_network(CONFIG)


def write_ours(network: SegGPT, folder: Path) -> Path:
    save_weights(network, folder / "mine.safetensors", torch.float32)
    return folder / "mine.safetensors"


def write_official(network: SegGPT, folder: Path) -> Path:
    torch.save({"model": network.state_dict()}, folder / "seggpt.pth")
    return folder / "seggpt.pth"


def write_hub(network: SegGPT, folder: Path) -> Path:
    """Let transformers itself write the folder."""
    model = SegGptForImageSegmentation(hub_config(network.config))
    model.load_state_dict({hub_name(name): value for name, value in network.state_dict().items()})
    model.save_pretrained(folder / "hub")
    return folder / "hub"


LAYOUTS: dict[str, Callable[[SegGPT, Path], Path]] = {
    "prompttune": write_ours,
    "official": write_official,
    "Hub": write_hub,
}


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch) -> Path:
    """Return an empty cache of the Hub's library, which is told that there is no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def fill(cache: Path, folder: Path) -> Path:
    """Lay a folder into the cache as the Hub's library does."""
    repository = cache / f"models--{hub.REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / hub.REVISION).write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    return snapshot
