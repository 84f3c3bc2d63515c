"""The one way in to a backbone, whatever its name or layout; and to the same at another canvas."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from prompttune.backbone import hub
from prompttune.backbone.checkpoints import read_checkpoint
from prompttune.backbone.int8 import decode
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import build
from prompttune.backbone.weights import fingerprint, resize_relative
from prompttune.utils.bounds import check_canvas
from prompttune.utils.errors import InputError, explain_out_of_memory, suggest
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
