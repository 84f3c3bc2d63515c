"""What a step of pretraining costs, counted on a network without memory: nothing is computed.

Parameters are counted; floating point operations are those of all products and convolutions,
forward and backward, as `torch.utils.flop_counter` counts them; activations are the tensors that
autograd keeps. `measure` takes real steps on this machine, to compare.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT, build
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.optimizers import optimizers

STATE_BYTES = 20
"""Of each parameter, fp32: itself, its gradient, two moments, and its average."""


@dataclass(frozen=True)
class Budget:
    """The cost of a recipe's network."""

    parameters: int
    forward_flops: int
    """Of a sample: a multiplication and an addition are two."""
    flops: int
    """Of a sample's whole step: forward and backward."""
    activations: int
    """Bytes of a sample in fp32, with `memory: fast`."""
    saving: int
    """Bytes of a sample in fp32, with `memory: saving`."""

    @property
    def state(self) -> int:
        """Bytes of weights, gradients, moments and averages."""
        return STATE_BYTES * self.parameters


def budget(config: SegGPTConfig) -> Budget:
    """Count the cost of a network that is trained."""
    with torch.device("meta"):
        network = build(config).requires_grad_(True)
    counted: dict[str, int] = {}
    for memory in ("fast", "saving"):
        network.memory = memory
        counted[memory] = _kept_bytes(network, _loss(network, "meta"))
    network.memory = "fast"
    loss = _loss(network, "meta")
    with FlopCounterMode(display=False) as forward:
        value = loss()
    with FlopCounterMode(display=False) as backward:
        value.backward()
    there, back = forward.get_total_flops(), backward.get_total_flops()
    parameters = sum(each.numel() for each in network.parameters())
    return Budget(parameters, there, there + back, counted["fast"], counted["saving"])


def measure(recipe: PretrainRecipe, steps: int = 2) -> tuple[float, int]:
    """Take real steps of one sample on this machine's CPU, in fp32.

    Returns:
        Seconds of a step, the least, and the most memory of this process, bytes.
    """
    network = build(recipe.backbone).requires_grad_(True)
    network.memory = recipe.memory
    for parameter in network.parameters():
        torch.nn.init.trunc_normal_(parameter, std=0.02)
    average = [parameter.detach().clone() for parameter in network.parameters()]
    each, taken = optimizers(network, replace(recipe.optimizer, name="adamw")), []
    for _ in range(steps):
        began = time.perf_counter()
        _loss(network, "cpu")().backward()
        for one in each:
            one.step()
        taken.append(time.perf_counter() - began)
    assert average
    unit = 1 if sys.platform == "darwin" else 1024
    return min(taken), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _loss(network: SegGPT, device: str) -> Callable[[], Tensor]:
    """Return what computes the loss of one sample, with one prompt and one query."""
    side = network.config.canvas
    types = torch.zeros(1, dtype=torch.long, device=device)
    if isinstance(network, OneWaySegGPT):
        images = torch.zeros(1, 1, 3, side, side, device=device)
        return lambda: network.color(images, images, images, types).square().mean()
    canvas = torch.zeros(1, 3, 2 * side, side, device=device)
    masked = torch.zeros(1, network.config.tokens, dtype=torch.bool, device=device)
    return lambda: network(canvas, canvas, masked, types, query_only=False).square().mean()


def _kept_bytes(network: SegGPT, loss: Callable[[], Tensor]) -> int:
    """Return the bytes of what autograd keeps beside the weights."""
    weights = {id(each.untyped_storage()) for each in network.parameters()}
    kept: dict[int, Any] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if id(storage) not in weights:
            kept[storage._cdata] = storage
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        result = loss()
    total = sum(storage.nbytes() for storage in kept.values())
    del result
    return total
