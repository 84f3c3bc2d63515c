"""Networks that do not fit one device: each holds a share of every tensor (FSDP2).

A block's tensors are gathered while it computes and given up after it, so that what a device holds
is its share of the weights, gradients and moments, and one whole block.
"""

import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.pretraining.config import PretrainRecipe
from prompttune.utils.errors import InputError


def shard(network: SegGPT, mesh: DeviceMesh) -> None:
    """Share a network among the devices of a mesh, block by block, in place."""
    # Keys and values are views of one tensor, which nothing changes in place.
    warnings.filterwarnings("ignore", r"FSDP2-wrapped module .* returned a view")
    for block in network.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    if isinstance(network, OneWaySegGPT):  # which is not trained through its `forward`
        register_fsdp_forward_method(network, "color")


def check_sharded(recipe: PretrainRecipe, resume: bool) -> None:
    """Refuse what shares of a network cannot do.

    Raises:
        InputError: an optimizer that needs whole matrices, or a run that is to go on.
    """
    if recipe.optimiser.name != "adamw":
        raise InputError(
            f"--strategy fsdp: optimiser {recipe.optimiser.name} needs whole matrices; use adamw"
        )
    if resume:
        raise InputError("--strategy fsdp: such a run cannot go on; leave --resume out")


class ShardedAverage(pl.Callback):
    """Averages the weights over the steps, each device its share; saves the averages as weights.

    Args:
        decay: share of the old average that stays at each step.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._kept: dict[str, Tensor] = {}

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Add the weights after a step."""
        for name, value in pl_module.named_parameters():
            if name in self._kept:
                self._kept[name].lerp_(_own(value), 1 - self._decay)
            else:
                self._kept[name] = _own(value).clone()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the averages where the weights are; all devices gather them together."""
        for name, value in pl_module.named_parameters():
            if name in self._kept:
                average = self._kept[name]
                if isinstance(value, DTensor):
                    average = DTensor.from_local(
                        average, value.device_mesh, value.placements,
                        shape=value.shape, stride=value.stride(),
                    ).full_tensor()  # fmt: skip
                if name in checkpoint["state_dict"]:  # the first device has them alone
                    checkpoint["state_dict"][name] = average.cpu()


def _own(value: Tensor) -> Tensor:
    """Return a device's own share of a tensor."""
    return (value.to_local() if isinstance(value, DTensor) else value).detach()
