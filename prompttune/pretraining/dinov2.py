"""DINOv2 as a start: its tensors under our names, at another size of the patches.

DINOv2 (Oquab et al., arXiv 2304.07193; weights under Apache-2.0) is a Vision Transformer whose
features match the parts of things across images. Its blocks are those of a SegGPT but for
LayerScale, which is a factor on each output of the two branches and folds into their last layers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone.weights import read_safetensors
from prompttune.errors import InputError

HEAD_DIM = 64
"""Of every DINOv2, S to g."""

NAMES = (
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("norm", "layernorm"),
)
BLOCK_NAMES = (
    ("norm1", "norm1"),
    ("attn.proj", "attention.output.dense"),
    ("norm2", "norm2"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
)
"""What we and what transformers call a layer, outside of the blocks and within one."""


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
    hidden: int
    """Hidden width of the MLP."""
    side: int
    """Patches along one side of the square for which the positions are stored."""
    tensors: dict[str, Tensor]
    """By official SegGPT name, fp32; `pos_embed` is `1 x (1 + side * side) x dim`, class first."""
    class_token: Tensor
    """`1 x 1 x dim`, fp32; a SegGPT has none."""


def read_dinov2(path: Path) -> Dinov2:
    """Read a DINOv2 S, B or L.

    The giant one is refused: its MLP is gated (SwiGLU), which two layers with a GELU cannot be.

    Args:
        path: An `.onnx` file that holds the model, or a folder of transformers with `config.json`
            and `model.safetensors`.

    Raises:
        InputError: Missing, damaged, another model, or the giant one.
    """
    if path.is_dir():
        tensors = _read_folder(path)
        path = path / "model.safetensors"
    else:
        tensors = _read_onnx(path)
    try:
        return _converted(tensors)
    except KeyError as error:
        raise InputError(f"{path}: no DINOv2 of transformers' layout: lacks {error}") from error
    except ValueError as error:
        raise InputError(f"{path}: no DINOv2 of transformers' layout: {error}") from error


def _converted(theirs: Mapping[str, Tensor]) -> Dinov2:
    """Rename, stack and fold; the names of `theirs` begin at "embeddings", "encoder", "layernorm"."""
    theirs = {name: value.float() for name, value in theirs.items()}
    position = theirs["embeddings.position_embeddings"]
    ours = {"pos_embed": position}
    for our, their in NAMES:
        for kind in ("weight", "bias"):
            ours[f"{our}.{kind}"] = theirs[f"{their}.{kind}"]
    found = [re.match(r"encoder\.layer\.(\d+)\.", name) for name in theirs]
    depth = 1 + max((int(number[1]) for number in found if number), default=-1)
    for number in range(depth):
        block = _block(theirs, f"encoder.layer.{number}.")
        ours |= {f"blocks.{number}.{name}": value for name, value in block.items()}
    dim, _, patch, _ = ours["patch_embed.proj.weight"].shape
    hidden = ours["blocks.0.mlp.fc1.bias"].shape[0]
    side = round((position.shape[1] - 1) ** 0.5)
    token = theirs["embeddings.cls_token"]
    return Dinov2(patch, dim, depth, dim // HEAD_DIM, hidden, side, ours, token)


def _block(theirs: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    block = {}
    for kind in ("weight", "bias"):
        for our, their in BLOCK_NAMES:
            block[f"{our}.{kind}"] = theirs[f"{prefix}{their}.{kind}"]
        block[f"attn.qkv.{kind}"] = torch.cat(
            [
                theirs[f"{prefix}attention.attention.{part}.{kind}"]
                for part in ("query", "key", "value")
            ]
        )
    for layer, scale in (("attn.proj", "layer_scale1"), ("mlp.fc2", "layer_scale2")):
        factor = theirs[f"{prefix}{scale}.lambda1"]
        block[f"{layer}.weight"] = block[f"{layer}.weight"] * factor[:, None]
        block[f"{layer}.bias"] = block[f"{layer}.bias"] * factor
    return block


def _stem(name: str) -> str:
    """Cut what a larger model puts before the names of its DINOv2, as in "backbone.encoder..."."""
    found = re.search(r"(?:^|\.)((?:embeddings|encoder|layernorm)\..*)", name)
    return found[1] if found else name


def _read_folder(folder: Path) -> dict[str, Tensor]:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: lacks config.json (a folder has it and model.safetensors)")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, gated = config.get("model_type"), config.get("use_swiglu_ffn", False)
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: no configuration of a DINOv2 ({error})") from error
    if kind != "dinov2":
        raise InputError(f"{path}: model_type is {kind!r}, not 'dinov2'")
    if gated:
        raise InputError(f"{path}: a DINOv2 giant, whose MLP is gated (SwiGLU); take S, B or L")
    _, tensors = read_safetensors(folder / "model.safetensors")
    return {_stem(name): value for name, value in tensors.items()}


def _read_onnx(path: Path) -> dict[str, Tensor]:
    """Read the tensors off a graph; what has lost its name is known by what it is used for."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {x.name: torch.from_numpy(numpy_helper.to_array(x).copy()) for x in graph.initializer}
    tensors = {_stem(name): value for name, value in stored.items()}
    products = {x.output[0]: x.input[1] for x in graph.node if x.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for bias, product in (tuple(node.input), tuple(node.input)[::-1]):
            weight = products.get(product)
            if weight in stored and bias.endswith(".bias"):
                tensors[_stem(bias).removesuffix("bias") + "weight"] = stored[weight].T
    token = tensors["embeddings.cls_token"]
    nameless = [x for name, x in tensors.items() if name.startswith("onnx::") and x.ndim == 3]
    first = next(x for x in nameless if x.shape == token.shape)
    rest = next(x for x in nameless if x.shape[1] > 1 and x.shape[2:] == token.shape[2:])
    tensors["embeddings.position_embeddings"] = torch.cat((first, rest), 1)
    return tensors


def start_tensors(dinov2: Dinov2, patch: int, side: int, depth: int) -> dict[str, Tensor]:
    """Return what a network with other patches takes over: embedding, positions, blocks, last norm.

    Args:
        dinov2: What to start from.
        patch: Side of a patch, pixels. An image reduced by `patch / dinov2.patch` has nearly the
            features of the image as it was.
        side: Patches along one side of the square for which the positions are stored.
        depth: How many blocks are kept, the first ones.

    Returns:
        Tensors by official SegGPT name, fp32; `pos_embed` is `1 x (1 + side * side) x dim`.

    Raises:
        InputError: More blocks than there are.
    """
    if not 1 <= depth <= dinov2.depth:
        raise InputError(f"depth {depth}: this DINOv2 has blocks for 1 to {dinov2.depth}")
    tensors = {
        name: value
        for name, value in dinov2.tensors.items()
        if not name.startswith("blocks.") or int(name.split(".")[1]) < depth
    }
    kernel = "patch_embed.proj.weight"
    tensors[kernel] = resize_kernel(tensors[kernel], patch)
    tensors["pos_embed"] = resize_positions(tensors["pos_embed"], side)
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


def resize_positions(positions: Tensor, side: int) -> Tensor:
    """Resize `1 x (1 + n * n) x dim` to `side`: bicubic, not antialiased, as DINOv2 itself does."""
    old = round((positions.shape[1] - 1) ** 0.5)
    grid = positions[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
    if side != old:
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat((positions[:, :1], grid.flatten(2).transpose(1, 2)), 1)
