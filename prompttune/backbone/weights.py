"""Weights: their check, their fingerprint, and our file (safetensors, the sizes in its metadata).

Tensors bear the official names everywhere (baaivision/Painter); other layouts are renamed when they
are read, see `prompttune.backbone.checkpoints`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.int8 import check_scales, decode, encode, is_scale
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import build
from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_path

FORMAT = "prompttune-backbone"
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Types of weights, beside int8 with a scale; PyTorch computes little with eight bits."""


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 (hex) of weights: official names, shapes and stored values, by name.

    It is taken before any cast, so all files of one network in one dtype agree. What is stored as
    int8 counts as it is stored: whole numbers, and their scales as tensors of their own.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check(tensors: Mapping[str, Tensor], config: SegGPTConfig, path: Path) -> None:
    """Check that these are the weights of a network of this size.

    Raises:
        InputError: A tensor is missing, unknown, of another shape, not floating (or int8 with a
            scale, see `prompttune.backbone.int8`) or not finite.
    """
    check_scales(tensors, path)
    tensors = {name: value for name, value in tensors.items() if not is_scale(name, tensors)}
    with torch.device("meta"):
        expected = {name: value.shape for name, value in build(config).state_dict().items()}
    missing, extra = sorted(expected.keys() - tensors), sorted(tensors.keys() - expected)
    if missing or extra:
        both = ((missing, "missing"), (extra, "unknown"))
        faults = "; ".join(_some(names, what) for names, what in both if names)
        raise InputError(f"{path}: not the tensors of this SegGPT: {faults}")
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but the sizes of the network "
                f"ask for {tuple(shape)}"
            )
        if tensor.dtype == torch.int8:
            continue
        if tensor.dtype not in FLOATS or not _is_finite(tensor):
            kind = "infinite or NaN" if tensor.dtype in FLOATS else tensor.dtype
            raise InputError(f"{path}: {name} holds values that no weight can have ({kind})")


def _is_finite(tensor: Tensor) -> bool:
    # The extremes pass NaN on, and unlike isfinite() need no memory of the tensor's size.
    return all(extreme.isfinite() for extreme in tensor.aminmax())


def _some(names: list[str], what: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}"


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the memory-mapped tensors of a safetensors file.

    Raises:
        InputError: The file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such backbone file")
    if not os.access(path, os.R_OK):  # safetensors would say that it is not there
        raise InputError(f"{path}: cannot be opened (permission denied)")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: no whole safetensors file ({error}); fetch it again") from error


def load_weights(path: Path) -> tuple[SegGPTConfig, dict[str, Tensor]]:
    """Return the sizes and the memory-mapped tensors of our own file, as stored and checked.

    Raises:
        InputError: The file is missing, damaged or of another kind.
    """
    metadata, tensors = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: safetensors, but no prompttune backbone; of a checkpoint from the Hub give "
            "the folder, with its config.json"
        )
    try:
        config = SegGPTConfig.from_dict(json.loads(metadata.get("config", "null")) or {})
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: metadata: {error}") from error
    check(tensors, config, path)
    return config, tensors


def save_weights(network: SegGPT, path: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the network's weights, cast to `dtype`, and its sizes to `path` (.safetensors).

    `torch.int8` stores the weights of layers in a byte each, see `prompttune.backbone.int8`.
    """
    write_weights(cast(network.state_dict(), dtype), network.config, path)


def cast(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return stored tensors, on the CPU, as they are stored in another dtype."""
    if dtype == torch.int8:
        return encode(tensors)
    return {name: value.to("cpu", dtype) for name, value in decode(tensors)}


def write_weights(tensors: Mapping[str, Tensor], config: SegGPTConfig, path: Path) -> None:
    """Write tensors as they are to our file; nothing half-written is ever seen under its name."""
    metadata = {"format": FORMAT, "config": json.dumps(config.to_dict())}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_path(path) as temporary:
        temporary.touch()
        usual = temporary.stat().st_mode
        save_file(
            {name: value.contiguous() for name, value in tensors.items()}, temporary, metadata
        )
        temporary.chmod(usual)  # safetensors makes files that nobody else may read


def resize_weights(tensors: Mapping[str, Tensor], config: SegGPTConfig) -> dict[str, Tensor]:
    """Fit the position tables of a network to another canvas (fp32); all else stays as it is."""
    return {name: _resize(name, value.float(), config) for name, value in decode(tensors)}


def _resize(name: str, value: Tensor, config: SegGPTConfig) -> Tensor:
    if name == "pos_embed":
        return resize_positions(value, config.pretrain_canvas // config.patch)
    return resize_relative(name, value, config)


def resize_positions(value: Tensor, side: int) -> Tensor:
    """Fit positions, `1 x (1 + n * n) x dim`, to `side` patches; the first row stays as it is.

    Bicubic and not antialiased, as both SegGPT and DINOv2 resize theirs.
    """
    old = round((value.shape[1] - 1) ** 0.5)
    grid = value[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat((value[:, :1], grid.flatten(2).transpose(1, 2)), 1)


def resize_relative(name: str, value: Tensor, config: SegGPTConfig) -> Tensor:
    """Fit a table of relative positions to a canvas; any other tensor stays as it is."""
    for table, size in zip(("rel_pos_h", "rel_pos_w"), config.grid, strict=True):
        if name.endswith(table):
            resized = F.interpolate(value.float().T[None], size=2 * size - 1, mode="linear")
            return resized[0].T.contiguous().to(value.dtype)
    return value
