"""Networks of random weights, as small as can be: all that matters of them is that they answer."""

import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build


def random_network(config: SegGPTConfig, std: float = 0.2) -> SegGPT:
    """Return a frozen network, the same each time.

    Args:
        config: its sizes, and its kind.
        std: standard deviation of all weights.
    """
    torch.manual_seed(0)
    network = build(config)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=std)
    network.fingerprint = "f" * 64
    return network.eval().requires_grad_(False)
