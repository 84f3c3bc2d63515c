"""DINOv2 as a start: its tensors under our names, at another size of the patches.

DINOv2 (Oquab et al., arXiv 2304.07193; weights under Apache-2.0) is a Vision Transformer whose
features match the parts of things across images. Its blocks are those of a SegGPT but for
LayerScale, which is a factor on each output of the two branches and folds into their last layers.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone.weights import read_safetensors, resize_positions
from prompttune.pretraining.onnx_tensors import read_onnx
from prompttune.utils.errors import InputError

HEAD_DIM = 64
"""Width of a head in every DINOv2, S to g."""
LAYERS = {
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
BLOCK_LAYERS = {
    "norm1": "norm1",
    "attn.proj": "attention.output.dense",
    "norm2": "norm2",
}
"""What we and what transformers call a layer; our `attn.qkv` is `QKV` there."""
MLP_LAYERS = {
    "gelu": {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"},
    "swiglu": {"mlp.fc1": "mlp.weights_in", "mlp.fc2": "mlp.weights_out"},
}
"""Likewise, of the MLPs of S, B, L and of the giant, by `SegGPTConfig.mlp`."""
QKV = [f"attention.attention.{part}" for part in ("query", "key", "value")]
SCALED = {"attn.proj": "layer_scale1.lambda1", "mlp.fc2": "layer_scale2.lambda1"}
TOKEN = "embeddings.cls_token"
POSITIONS = "embeddings.position_embeddings"
FIXED = {"model_type": "dinov2", "hidden_act": "gelu", "layer_norm_eps": 1e-6}
SIZES = ("num_hidden_layers", "num_attention_heads")


@dataclass(frozen=True, eq=False)
class Dinov2:
    """A DINOv2 whose layers bear our names."""

    patch: int
    """Side of a patch, pixels."""
    dim: int
    """Width of a token."""
    depth: int
    """Number of blocks."""
    heads: int
    """Attention heads."""
    mlp: Literal["gelu", "swiglu"]
    """Its kind; the giant's is gated."""
    hidden: int
    """Hidden width of the MLP, behind the gate."""
    side: int
    """Patches along one side of the square for which the positions are stored."""
    tensors: dict[str, Tensor]
    """By official SegGPT name, fp32; `pos_embed` is `1 x (1 + side * side) x dim`, class first."""
    class_token: Tensor
    """`1 x 1 x dim`, fp32."""


def read_dinov2(path: Path) -> Dinov2:
    """Read a DINOv2 S, B, L or g.

    The giant's MLP is gated (SwiGLU): a network that begins from it has `mlp: swiglu`.

    Args:
        path: An `.onnx` file that holds the model, alone or below a head, or a folder of
            transformers with `config.json` and `model.safetensors`.

    Raises:
        InputError: Missing, damaged, or another model.
    """
    depth = heads = None
    if path.is_dir():
        depth, heads = _read_config(path / "config.json")
        path = path / "model.safetensors"
        tensors = _stems(read_safetensors(path)[1])
    else:
        tensors = _with_positions(_stems(read_onnx(path)))
    return _converted(tensors, depth, heads, path)


def _read_config(path: Path) -> tuple[int, int]:
    """Return how many blocks and heads there are; what the file leaves out is as in transformers.

    The default sizes there are those of B.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: lacks config.json, which lies beside model.safetensors")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = {name: config.get(name, value) for name, value in FIXED.items()}
        sizes = {name: config.get(name, 12) for name in SIZES}
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: no configuration of a DINOv2 ({error})") from error
    for name, value in FIXED.items():
        if found[name] != value:
            raise InputError(f"{path}: {name} is {found[name]!r}; a DINOv2 has {value!r}")
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{path}: {name} is {size!r}, no whole number from 1 up")
    depth, heads = sizes.values()
    return depth, heads


def _stems(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut what a larger model puts before the names of its DINOv2, as in "backbone.encoder..."."""
    before = next((name.removesuffix(TOKEN) for name in tensors if name.endswith(TOKEN)), "")
    own = [name for name in tensors if name.startswith(before)]
    others = {name: tensors[name] for name in tensors.keys() - own}  # the nameless among them
    return {**others, **{name.removeprefix(before): tensors[name] for name in own}}


def _with_positions(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name the positions, which an exporter parts into nameless ones of class and of patches."""
    token = tensors.get(TOKEN)
    if token is None or POSITIONS in tensors:
        return tensors
    others = [value for name, value in tensors.items() if name != TOKEN and value.ndim == 3]
    parts = [value for value in others if value.shape[::2] == token.shape[::2]]
    parts.sort(key=lambda part: part.shape[1])
    return {**tensors, POSITIONS: torch.cat(parts, 1)} if parts else tensors


def _converted(
    theirs: Mapping[str, Tensor], depth: int | None, heads: int | None, path: Path
) -> Dinov2:
    """Check and rename; of an ONNX file, `depth` and `heads` are seen from the tensors."""
    gated = any(".mlp.weights_in." in name for name in theirs)
    mlp: Literal["gelu", "swiglu"] = "swiglu" if gated else "gelu"
    numbers = [re.match(r"encoder\.layer\.(\d+)\.", name) for name in theirs]
    depth = depth or 1 + max((int(number[1]) for number in numbers if number), default=0)
    try:
        dim, _, patch, _ = theirs[f"{LAYERS['patch_embed.proj']}.weight"].shape
        _, hidden = theirs[f"encoder.layer.0.{MLP_LAYERS[mlp]['mlp.fc2']}.weight"].shape
        side = math.isqrt(theirs[POSITIONS].shape[1] - 1)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: no DINOv2 in the layout of transformers ({error})") from error
    if depth > len(theirs):  # each block has tensors of its own
        raise InputError(f"{path}: no whole DINOv2: {len(theirs)} tensors for {depth} blocks")
    heads = heads or dim // HEAD_DIM
    if not heads or dim % heads:
        raise InputError(f"{path}: {heads} heads cannot share a width of {dim}")
    _check(theirs, _shapes(dim, patch, mlp, hidden, side, depth), path)
    token = theirs[TOKEN].float()
    tensors = _renamed(theirs, depth, mlp)
    return Dinov2(patch, dim, depth, heads, mlp, hidden, side, tensors, token)


def _shapes(
    dim: int, patch: int, mlp: str, hidden: int, side: int, depth: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a DINOv2 of this size has, by transformers' name."""
    shapes: dict[str, tuple[int, ...]] = {
        TOKEN: (1, 1, dim),
        POSITIONS: (1, 1 + side * side, dim),
    }

    def add(layer: str, *weight: int) -> None:
        shapes.update({f"{layer}.weight": weight, f"{layer}.bias": weight[:1]})

    add(LAYERS["patch_embed.proj"], dim, 3, patch, patch)
    add(LAYERS["norm"], dim)
    for number in range(depth):
        block = f"encoder.layer.{number}."
        for layer in ("norm1", "norm2"):
            add(block + layer, dim)
        for layer in (*QKV, "attention.output.dense"):
            add(block + layer, dim, dim)
        names = MLP_LAYERS[mlp]
        add(block + names["mlp.fc1"], hidden * (2 if mlp == "swiglu" else 1), dim)
        add(block + names["mlp.fc2"], dim, hidden)
        shapes.update({block + scale: (dim,) for scale in SCALED.values()})
    return shapes


def _check(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    for name, shape in shapes.items():
        if name not in tensors:
            raise InputError(f"{path}: no whole DINOv2: {name} is missing; fetch it again")
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but a DINOv2 of this size has "
                f"{shape}"
            )
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise InputError(f"{path}: {name} holds values that no weight can have")


def _renamed(theirs: Mapping[str, Tensor], depth: int, mlp: str) -> dict[str, Tensor]:
    """Rename, stack queries, keys and values, and fold LayerScale; all in fp32."""
    theirs = {name: value.float() for name, value in theirs.items()}
    ours = {"pos_embed": theirs[POSITIONS]}
    for kind in ("weight", "bias"):
        for our, their in LAYERS.items():
            ours[f"{our}.{kind}"] = theirs[f"{their}.{kind}"]
        for number in range(depth):
            block, their_block = f"blocks.{number}.", f"encoder.layer.{number}."
            parts = [theirs[f"{their_block}{part}.{kind}"] for part in QKV]
            ours[f"{block}attn.qkv.{kind}"] = torch.cat(parts)
            for our, their in (BLOCK_LAYERS | MLP_LAYERS[mlp]).items():
                ours[f"{block}{our}.{kind}"] = theirs[f"{their_block}{their}.{kind}"]
            for our, scale in SCALED.items():
                value = ours[f"{block}{our}.{kind}"]
                factor = theirs[their_block + scale].view(-1, *[1] * (value.ndim - 1))
                ours[f"{block}{our}.{kind}"] = value * factor
    return ours


def start_tensors(dinov2: Dinov2, patch: int, side: int, depth: int) -> dict[str, Tensor]:
    """Return what a network with other patches takes over: embedding, positions, blocks, last norm.

    Args:
        dinov2: What to start from.
        patch: Side of a patch, pixels. An image reduced by `patch / dinov2.patch` has nearly the
            features of the image as it was.
        side: Patches along one side of the square for which the positions are stored.
        depth: How many blocks are kept, the first ones.

    Returns:
        Tensors by official SegGPT name, fp32. `pos_embed` is `1 x (1 + side * side) x dim`; its
        first row is the class token with its position, all that the first block sees of it.

    Raises:
        InputError: More blocks than there are.
    """
    if not 1 <= depth <= dinov2.depth:
        raise InputError(f"depth {depth}: this DINOv2 can fill 1 to {dinov2.depth} blocks")
    tensors = {
        name: value
        for name, value in dinov2.tensors.items()
        if not name.startswith("blocks.") or int(name.split(".")[1]) < depth
    }
    kernel, positions = "patch_embed.proj.weight", "pos_embed"
    tensors[kernel] = resize_kernel(tensors[kernel], patch)
    resized = resize_positions(tensors[positions], side)
    tensors[positions] = torch.cat((resized[:, :1] + dinov2.class_token, resized[:, 1:]), 1)
    return tensors


def resize_kernel(kernel: Tensor, patch: int) -> Tensor:
    """Resize a patch kernel so that a resized patch gives as nearly as can be what the patch gave.

    Of all kernels W', this one has the least expected squared error of W' B x against W x, where B
    resizes a patch x (FlexiViT, Beyer et al., arXiv 2212.08013). FlexiViT takes x for white noise,
    which makes W' = W B^+. Here neighboring pixels are alike, as in photos: C holds correlations
    that fall with the distance, exp(-distance / p), and W' = W C B^T (B C B^T)^+.

    Args:
        kernel: `dim x 3 x p x p`.
        patch: The new side, pixels.

    Returns:
        `dim x 3 x patch x patch`, fp32.
    """
    old = kernel.shape[-1]
    pixels = torch.eye(old * old, dtype=torch.float64).unflatten(1, (1, old, old))
    resize = F.interpolate(pixels, size=(patch, patch), mode="bilinear", antialias=True)
    resize = resize.flatten(1).T
    line = torch.arange(old, dtype=torch.float64)
    places = torch.cartesian_prod(line, line)
    alike = torch.exp(-torch.cdist(places, places) / old)
    inverse = torch.linalg.pinv(resize @ alike @ resize.T, hermitian=True)
    resized = kernel.flatten(2).double() @ alike @ resize.T @ inverse
    return resized.float().unflatten(-1, (patch, patch))
