"""Names, paths and devices that are none."""

from pathlib import Path

import pytest
import torch
from backbone_files import hub_cache as hub_cache
from backbone_files import network as network
from backbone_files import write_ours
from seggpt_oracle import (
    CONFIGS,
    random_canvas,
    random_network,
    relative_error,
    transformers_model,
)

from prompttune.backbone import SegGPT, SegGPTConfig, at_canvas, load
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


@pytest.mark.parametrize("canvas", [8, 24, 32])
@torch.no_grad()
def test_another_canvas_is_the_official_one(canvas: int) -> None:
    network = random_network(CONFIGS["merge-1"])
    other = at_canvas(network, canvas)
    image, target = random_canvas(other.config, 1)
    (above, query), (colors, _) = image.chunk(2, 2), target.chunk(2, 2)
    model = transformers_model(other)
    for layer, block in zip(model.model.encoder.layers, network.blocks, strict=True):
        layer.attention.rel_pos_h = block.attn.rel_pos_h
        layer.attention.rel_pos_w = block.attn.rel_pos_w
    expected = model(
        pixel_values=query,
        prompt_pixel_values=above,
        prompt_masks=colors,
        embedding_type="semantic",
    ).pred_masks[:, :, canvas:]
    assert relative_error(other.ensemble(query, above, colors), expected) < 1e-5


def test_weights_are_shared_but_for_relative_positions() -> None:
    network = random_network(CONFIGS["merge-0"])
    network.name, network.fingerprint = "small", "f" * 64
    other = at_canvas(network, 40)
    own = dict(network.named_parameters())
    shared = {n for n, p in other.named_parameters() if p.data_ptr() == own[n].data_ptr()}
    assert own.keys() - shared == {name for name in own if "rel_pos" in name}
    assert (other.name, other.fingerprint, other.config.canvas) == ("small", "f" * 64, 40)
    assert not other.training
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_its_own_canvas_is_itself_and_a_broken_one_is_refused() -> None:
    network = random_network(CONFIGS["merge-0"])
    assert at_canvas(network, 24) is network
    with pytest.raises(InputError, match="canvas=30 is no multiple of patch=8"):
        at_canvas(network, 30)


def test_a_canvas_beyond_all_memory_is_refused_at_once() -> None:
    with torch.device("meta"):
        network = SegGPT(
            SegGPTConfig(canvas=128, patch=8, dim=16, depth=4, heads=2, out_indices=(2, 3))
        )
    network.name = "small"
    for canvas in (1024, 4096):
        with pytest.raises(InputError, match=f"small: canvas {canvas} has .* at most 512"):
            at_canvas(network, canvas)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"depth": 10**9}, "depth 1000000000: must be a whole number 1 to 256"),
        ({"dim": 10**9}, "dim 1000000000: must be"),
        ({"canvas": 4096, "patch": 1}, "canvas 4096 has 33554432 tokens"),
        ({"mlp_ratio": 1e30}, r"mlp_ratio 1e\+30: must be"),
        ({"mlp_ratio": "4"}, "mlp_ratio '4': must be"),
    ],
)
def test_sizes_of_a_network_are_bounded(wrong: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SegGPTConfig(**wrong)
