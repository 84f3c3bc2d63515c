"""Several devices: which share is whose, and sums over all of them."""

import os
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.autograd import Function

from prompttune.utils.errors import InputError


def local_rank() -> int:
    """Return which of its node's processes this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def global_rank(devices: int) -> int:
    """Return which of a run's processes this is; 0 writes what is to be kept.

    Known before the trainer is: from torchrun, or from Lightning's own launcher and `NODE_RANK`.

    Args:
        devices: on each node.
    """
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    return int(os.environ.get("NODE_RANK", "0")) * devices + local_rank()


def check_devices(devices: int, device: str, batch: int, val_crops: int, nodes: int = 1) -> None:
    """Refuse a number of devices that a run cannot use, before any work.

    Raises:
        InputError: none, more than there are, or more than crops to share.
    """
    if devices < 1 or nodes < 1:
        raise InputError(f"--devices and --nodes must be at least 1, not {devices} and {nodes}")
    if device == "cuda" and devices > torch.cuda.device_count():
        raise InputError(
            f"--devices {devices}: there are {torch.cuda.device_count()} CUDA devices here"
        )
    if devices * nodes > min(batch, val_crops):
        raise InputError(
            f"--devices {devices} on {nodes} node{'s' * (nodes > 1)}: more than a batch of {batch} "
            f"or {val_crops} validation crops can be shared by"
        )


def take_own_device() -> None:
    """Make "cuda" mean this process's own device."""
    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(local_rank())


class _SumOfAll(Function):
    # torch.distributed.nn.functional.all_reduce does the same, but is deprecated.
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _SumOfAll.apply(gradients[0].contiguous())


def sum_of_all(values: Tensor) -> Tensor:
    """Add up the processes' values, differentiably.

    A loss of such sums is the whole batch's in every process. Its gradient in each is W times that
    process's summand, so the mean over W processes that data parallelism takes is exact.
    """
    return _SumOfAll.apply(values)
