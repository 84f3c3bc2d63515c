"""Which device computes, and in which precision."""

import re
from typing import Any

import torch

from prompttune.inference.result import Result as Result
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
