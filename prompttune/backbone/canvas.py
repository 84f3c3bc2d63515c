"""The same network at another canvas: more pixels at once, with the weights that it has."""

from dataclasses import replace

import torch
from torch import Tensor

from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import build
from prompttune.backbone.weights import resize_relative
from prompttune.utils.bounds import check_canvas


def at_canvas(network: SegGPT, canvas: int) -> SegGPT:
    """Return the network for another canvas; itself for its own.

    Parameters are shared but for the relative positions, which are resized once as the official
    code resizes them at every step (`get_rel_pos`). Absolute positions are resized in the network.
    Name and fingerprint stay: the weights are the same.

    Args:
        network: frozen; weights that are changed later are not followed.
        canvas: side S, pixels, a multiple of the patch.

    Raises:
        InputError: a canvas that patches do not fill, or of too many tokens.
    """
    if canvas == network.config.canvas:
        return network
    check_canvas(canvas, network.config.patch, network.name)
    config = replace(network.config, canvas=canvas)
    with torch.device("meta"):
        other = build(config)
    shared: dict[str, Tensor] = dict(network.named_parameters())
    resized = {name: resize_relative(name, value, config) for name, value in shared.items()}
    other.load_state_dict(resized, assign=True)
    other.requires_grad_(False)
    other.name, other.fingerprint, other.memory = network.name, network.fingerprint, network.memory
    return other.train(network.training)
