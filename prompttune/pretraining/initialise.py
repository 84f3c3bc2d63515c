"""Starting weights for a network that is to learn to colour by example."""

from pathlib import Path

import torch
from torch import nn

from prompttune.backbone.checkpoints import read_checkpoint
from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.loading import locate
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import Matching, build
from prompttune.backbone.weights import resize_weights
from prompttune.errors import InputError

RESIZABLE = ("canvas", "pretrain_canvas")


def starting_network(config: SegGPTConfig, init: str | Path | None, seed: int) -> SegGPT:
    """Return a network with the weights `init`, a name or a path; None: random ones by seed.

    Raises:
        InputError: The weights cannot be used, or are of a network that differs in more than the
            canvas.
    """
    network = build(config)
    if init is None:
        initialise(network, seed)
        return network
    checkpoint = read_checkpoint(locate(init))
    theirs, ours = checkpoint.config.to_dict(), config.to_dict()
    differing = [
        f"{name} {theirs[name]}, not {ours[name]}"
        for name in ours
        if name not in RESIZABLE and theirs[name] != ours[name]
    ]
    if differing:
        raise InputError(f"init {init}: of a network with {'; '.join(differing)}")
    network.load_state_dict(resize_weights(checkpoint.tensors, config))
    return network


def initialise(network: SegGPT, seed: int) -> None:
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
    for projection in matching.projections:
        nn.init.eye_(projection.weight)
    unit = torch.eye(matching.out.out_features) / depths
    with torch.no_grad():
        matching.out.weight.copy_(unit.repeat(1, depths))
