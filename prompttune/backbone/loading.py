"""`load`: the one way in to a backbone, whatever its name or layout."""

from pathlib import Path

import torch

from prompttune.backbone import hub
from prompttune.backbone.checkpoints import read_checkpoint
from prompttune.backbone.int8 import decode
from prompttune.backbone.memory import explain_out_of_memory
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import build
from prompttune.backbone.weights import fingerprint
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.paths import real

SHIPPED = {"seggpt-small": Path(__file__).parent / "seggpt-small.safetensors"}
"""Backbones that came with the package."""
FETCHED = ("seggpt-vit-large",)
"""Backbones that the Hub has."""


def load(
    name_or_path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> SegGPT:
    """Load a backbone for inference or tuning: eval mode, no parameter requires a gradient.

    The weights are memory-mapped and go straight to `device` and `dtype`, tensor by tensor.

    Args:
        name_or_path: "seggpt-small" (shipped), "seggpt-vit-large" (from the Hub's cache, else
            fetched), our `.safetensors`, an official `.pth`, or a folder as the Hub has it.
        device: Where the network goes.
        dtype: Of its parameters.

    Raises:
        InputError: Unknown name, a file that cannot be used, or no such device.
    """
    where = _device(device)
    path = locate(name_or_path)
    checkpoint = read_checkpoint(path)
    with torch.device("meta"):
        network = build(checkpoint.config)
    network.name = str(name_or_path) if _is_name(name_or_path) else _name_of(path)
    network.fingerprint = fingerprint(checkpoint.tensors)
    with explain_out_of_memory():
        tensors = {name: x.to(where, dtype) for name, x in decode(checkpoint.tensors)}
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def locate(name_or_path: str | Path) -> Path:
    """Return the file or folder of a backbone, fetched where it must be.

    Raises:
        InputError: Unknown name, no such file, or not to be fetched.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name in SHIPPED:
        return SHIPPED[name]
    if name in FETCHED:
        return hub.download()
    if not path.exists():
        is_name = not path.suffix and len(path.parts) == 1
        what = (
            f"unknown backbone '{name}'" if is_name else f"{path}: no such backbone file or folder"
        )
        raise InputError(f"{what}.{suggest(name, (*SHIPPED, *FETCHED)) if is_name else ''}")
    return path


def _is_name(name_or_path: str | Path) -> bool:
    return str(name_or_path) in (*SHIPPED, *FETCHED)


def _name_of(path: Path) -> str:
    return real(path).name if path.is_dir() else path.stem


def _device(device: str | torch.device) -> torch.device:
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device '{device}': choose cpu or cuda") from error
    if where.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device '{device}': there is no CUDA device here; choose cpu")
    return where
