"""Networks that do not fit one device: each holds a share of every tensor (FSDP2).

A block's tensors are gathered while it computes and given up after it, so that what a device holds
is its share of the weights, gradients and moments, and one whole block.
"""

import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.state import read_state
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


def check_sharded(recipe: PretrainRecipe) -> None:
    """Refuse what shares of a network cannot do.

    Raises:
        InputError: an optimizer that needs whole matrices.
    """
    if recipe.optimizer.name != "adamw":
        raise InputError(
            f"--strategy fsdp: optimizer {recipe.optimizer.name} needs whole matrices; use adamw"
        )


class ShardedStrategy(ModelParallelStrategy):
    """Keeps states as a run on one device does, so that either goes on where the other stopped.

    Args:
        devices: that share the network.
    """

    def __init__(self, devices: int) -> None:
        super().__init__(
            data_parallel_size=devices, tensor_parallel_size=1, save_distributed_checkpoint=False
        )

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Gather the moments, under their parameters' numbers in the optimizer; first device."""
        assert self.model is not None
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        named: dict[str, Any] = {
            **get_optimizer_state_dict(self.model, _bare(optimizer), options=options)
        }
        if not named:
            return named
        numbers = {name: at for at, name in enumerate(self._names(optimizer))}
        groups = [
            {**group, "params": [numbers[name] for name in group["params"]]}
            for group in named["param_groups"]
        ]
        state = sorted((numbers[name], value) for name, value in named["state"].items())
        return {"state": dict(state), "param_groups": groups}

    def load_checkpoint(
        self, checkpoint_path: str | PathLike[str], weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a state, of which each device takes its share."""
        kept = read_state(Path(self.broadcast(checkpoint_path)))
        options = StateDictOptions(full_state_dict=True)
        assert self.model is not None
        set_model_state_dict(self.model, kept["current_model_state"], options=options)
        for optimizer, state in zip(self.optimizers, kept["optimizer_states"], strict=True):
            named = self._named(optimizer, state)
            set_optimizer_state_dict(self.model, _bare(optimizer), named, options=options)
        return kept

    def _named(self, optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        names = self._names(optimizer)
        shapes = {name: value.shape for name, value in self.model.named_parameters()}  # type: ignore[union-attr]
        moments = {
            # What was never asked for a gradient, such as a type that no batch had, has none.
            name: state["state"].get(at) or _no_moments(shapes[name])
            for at, name in enumerate(names)
        }
        groups = [
            {**group, "params": [names[at] for at in group["params"]]}
            for group in state["param_groups"]
        ]
        return {"state": moments, "param_groups": groups}

    def _names(self, optimizer: Optimizer) -> list[str]:
        """Return the names of an optimizer's parameters, in its order."""
        names = {value: name for name, value in self.model.named_parameters()}  # type: ignore[union-attr]
        return [names[value] for group in optimizer.param_groups for value in group["params"]]


def _bare(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer without Lightning's wrapper."""
    return optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer


class ShardedAverage(pl.Callback):
    """Averages the weights over the steps, each device its share.

    States are kept as `EMAWeightAveraging` keeps them: the averages as weights, the weights beside.

    Args:
        decay: share of the old average that stays at each step.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._kept: dict[str, Tensor] = {}
        self._count = 0

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Add the weights after a step."""
        self._count += 1
        for name, value in pl_module.named_parameters():
            if name in self._kept:
                self._kept[name].lerp_(_own(value), 1 - self._decay)
            else:
                self._kept[name] = _own(value).clone()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the averages where the weights are; all devices gather them together."""
        checkpoint["current_model_state"] = dict(checkpoint["state_dict"])
        checkpoint["averaging_state"] = {"n_averaged": torch.tensor(self._count)}
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

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take this device's share of the averages."""
        self._count = int(checkpoint["averaging_state"]["n_averaged"])
        for name, value in pl_module.named_parameters():
            average = checkpoint["state_dict"][name].to(value.device)
            if isinstance(value, DTensor):
                average = distribute_tensor(
                    average, value.device_mesh, value.placements, src_data_rank=None
                )
            self._kept[name] = _own(average).clone()


def _no_moments(shape: torch.Size) -> dict[str, Tensor]:
    zeros = torch.zeros(shape)
    return {"step": torch.tensor(0.0), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}


def _own(value: Tensor) -> Tensor:
    """Return a device's own share of a tensor."""
    return (value.to_local() if isinstance(value, DTensor) else value).detach()
