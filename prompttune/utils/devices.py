"""Which devices compute, in which precision, and which share of a run is whose."""

import os
import re
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.autograd import Function

from prompttune.utils.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or, of several, "cuda:1".

    Raises:
        InputError: another name, or CUDA where there is none.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(f"device '{name}': choose auto, cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not has_cuda:
        raise InputError(f"device '{name}': there is no CUDA device here; choose auto or cpu")
    if device.index is not None and device.index >= (count := torch.cuda.device_count()):
        raise InputError(f"device '{name}': there are {count} here, cuda:0 to cuda:{count - 1}")
    return device


def choose_bf16(precision: str, device: torch.device, on_cpu: bool = False) -> bool:
    """Say whether to compute in bfloat16: asked for, or "auto" on CUDA that has it.

    With `on_cpu` "auto" takes it on processors too that report bfloat16 products: tuning does,
    prediction does not, so that masks are the same on all machines.

    Raises:
        InputError: an unknown precision.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise InputError(f"precision '{precision}': choose auto, fp32 or bf16")
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch 2.11 cannot be asked yet; fp32 is right everywhere.
    reports: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return on_cpu and bool(reports.get("avx512_bf16") or reports.get("amx_bf16"))


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
