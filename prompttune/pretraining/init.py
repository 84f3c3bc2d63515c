"""Starting weights for a network that is to learn to color by example."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prompttune.backbone.checkpoints import read_checkpoint
from prompttune.backbone.config import SegGPTConfig, named_now
from prompttune.backbone.loading import locate
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT, build
from prompttune.backbone.one_way_blocks import Matching
from prompttune.backbone.weights import resize_weights
from prompttune.pretraining.dinov2 import read_dinov2, start_tensors
from prompttune.utils.errors import InputError

RESIZABLE = ("canvas", "pretrain_canvas")


def starting_network(config: SegGPTConfig, init: str | Path | None, seed: int) -> SegGPT:
    """Return a network with the weights `init`, a name or a path; None: random ones by seed.

    Raises:
        InputError: The weights cannot be used, or are of a network that differs in more than the
            canvas.
    """
    network = build(config)
    if init is None:
        initialize(network, seed)
        return network
    checkpoint = read_checkpoint(locate(init))
    theirs, ours = (named_now(each.to_dict()) for each in (checkpoint.config, config))
    _require_equal(f"init {init}", theirs, {x: ours[x] for x in ours if x not in RESIZABLE})
    network.load_state_dict(resize_weights(checkpoint.tensors, config))
    return network


def grown_network(config: SegGPTConfig, source: Path, seed: int) -> SegGPT:
    """Return a network whose embedding, blocks and last norm are a DINOv2's; the rest by seed.

    Args:
        config: Of the network; as wide as the DINOv2, and no deeper. Patch and canvas are free.
        source: What `prompttune.pretraining.dinov2.read_dinov2` reads.
        seed: Of all other weights.

    Raises:
        InputError: No such DINOv2, or one that does not fit the network.
    """
    dinov2 = read_dinov2(source)
    theirs = {
        "dim": dinov2.dim,
        "heads": dinov2.heads,
        "mlp": dinov2.mlp,
        "hidden": dinov2.hidden,
    }
    ours = config.to_dict() | {"hidden": round(config.dim * config.mlp_ratio)}
    _require_equal(str(source), theirs, {x: ours[x] for x in theirs})
    if config.depth > dinov2.depth:
        raise InputError(f"{source}: {dinov2.depth} blocks, too few for depth {config.depth}")
    side = config.pretrain_canvas // config.patch
    start = start_tensors(dinov2, config.patch, side, config.depth)
    network = build(config)
    initialize(network, seed)
    if isinstance(network, OneWaySegGPT):  # colors as loud as the image features that they meet
        with torch.no_grad():
            network.target_embed.proj.weight.mul_(0.3)
    network.load_state_dict(start, strict=False)
    return network


def _require_equal(what: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    differing = [f"{x} {theirs[x]}, not {ours[x]}" for x in ours if theirs[x] != ours[x]]
    if differing:
        raise InputError(f"{what}: weights of a network with {'; '.join(differing)}")


def initialize(network: SegGPT, seed: int) -> None:
    """Fill all weights in place, deterministic by seed; relative positions start at zero."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.flatten(1), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, parameter in network.named_parameters():
        if "token" in name or name == "pos_embed":
            nn.init.normal_(parameter, std=0.02, generator=generator)
    for module in network.modules():
        if isinstance(module, Matching):
            _match_by_features(module)


def _match_by_features(matching: Matching) -> None:
    """Begin with the features themselves, and with the mean of what their depths carry over."""
    depths = len(matching.projections)
    for parameter in matching.projections.parameters():
        nn.init.eye_(parameter)
    unit = torch.eye(matching.out.out_features) / depths
    with torch.no_grad():
        matching.out.weight.copy_(unit.repeat(1, depths))
