"""Starting weights for a network that is to learn to colour by example."""

import torch
from torch import nn

from prompttune.backbone.network import SegGPT


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
