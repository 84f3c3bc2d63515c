"""Checkpoints in any layout: ours, the authors' `.pth`, and a folder as the Hub has it.

All come back under the official names, memory-mapped and checked, so that what follows, the
fingerprint first of all, cannot tell them apart.
"""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.weights import check, load_weights, read_safetensors
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED

HUB_NAMES = (
    ("patch_embed.proj", "model.embeddings.patch_embeddings.projection"),
    ("segment_token_x", "model.embeddings.segment_token_input"),
    ("segment_token_y", "model.embeddings.segment_token_prompt"),
    ("type_token_cls", "model.embeddings.type_token_semantic"),
    ("type_token_ins", "model.embeddings.type_token_instance"),
    ("mask_token", "model.embeddings.mask_token"),
    ("pos_embed", "model.embeddings.position_embeddings"),
    ("blocks.#.norm1", "model.encoder.layers.#.layernorm_before"),
    ("blocks.#.norm2", "model.encoder.layers.#.layernorm_after"),
    ("blocks.#.attn", "model.encoder.layers.#.attention"),
    ("blocks.#.mlp.fc1", "model.encoder.layers.#.mlp.lin1"),
    ("blocks.#.mlp.fc2", "model.encoder.layers.#.mlp.lin2"),
    ("norm", "model.encoder.layernorm"),
    ("decoder_embed", "decoder.decoder_embed"),
    ("decoder_pred.0", "decoder.decoder_pred.conv"),
    ("decoder_pred.1", "decoder.decoder_pred.layernorm"),
    ("decoder_pred.3", "decoder.decoder_pred.head"),
)
"""What the authors and what transformers call a tensor; # is the number of a block."""


def hub_name(name: str) -> str:
    """Return what transformers calls the tensor with this official name."""
    return _renamed(name, dict(HUB_NAMES))


def official_name(name: str) -> str:
    """Undo `hub_name`; an unknown name stays as it is."""
    return _renamed(name, {hub: official for official, hub in HUB_NAMES})


def _renamed(name: str, names: Mapping[str, str]) -> str:
    number = re.search(r"(?<=\.)\d+(?=\.(norm|layernorm|att|mlp))", name)
    template = name[: number.start()] + "#" + name[number.end() :] if number else name
    for old, new in names.items():
        if template == old or template.startswith(f"{old}."):
            return (new + template[len(old) :]).replace("#", number[0] if number else "#")
    return name


@dataclass(frozen=True)
class Checkpoint:
    """Weights as a file holds them."""

    config: SegGPTConfig
    """The sizes of their network."""
    tensors: dict[str, Tensor]
    """By official name, as stored, memory-mapped; `prompttune.backbone.int8` decodes bytes."""
    layout: str
    """"prompttune", "official" or "Hub"."""


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a backbone in any layout.

    Args:
        path: Our `.safetensors`, an official `.pth` (or `.pt`), or a folder with `config.json` and
            `model.safetensors`.

    Raises:
        InputError: Missing, damaged, foreign, or with weights that no network can have.
    """
    if path.is_dir():
        return _read_hub(path)
    if path.suffix in (".pth", ".pt"):
        return _read_official(path)
    config, tensors = load_weights(path)
    return Checkpoint(config, tensors, "prompttune")


def _read_official(path: Path) -> Checkpoint:
    if not path.is_file():
        raise InputError(f"{path}: no such backbone file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which fail below if they matter
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than tensors, or is no PyTorch file; it was not executed"
        ) from error
    except Exception as error:  # of damaged bytes torch's reader raises whatever comes
        raise InputError(f"{path}: no whole PyTorch file; fetch it again") from error
    tensors = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(map(_is_plain, tensors, tensors.values())):
        raise InputError(f"{path}: no SegGPT checkpoint, which is a dict of tensors under 'model'")
    tensors = dict(tensors)
    config = _config_of(tensors, path)
    check(tensors, config, path)
    return Checkpoint(config, tensors, "official")


def _is_plain(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (value.layout, value.device.type) == (torch.strided, "cpu")
    )


def _config_of(tensors: Mapping[str, Tensor], path: Path) -> SegGPTConfig:
    """Read the sizes off the shapes: the authors' file has no configuration.

    Which blocks are read and merged cannot be seen: as in the released network, those that are read
    end equal parts of the depth, and the merge is block 2.
    """
    try:
        dim, _, patch, _ = tensors["patch_embed.proj.weight"].shape
        depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        columns, head_dim = tensors["blocks.0.attn.rel_pos_w"].shape
        read = tensors["decoder_embed.weight"].shape[1] // dim
        return SegGPTConfig(
            canvas=(columns + 1) // 2 * patch,
            patch=patch,
            dim=dim,
            depth=depth,
            heads=dim // head_dim,
            mlp_ratio=tensors["blocks.0.mlp.fc1.weight"].shape[0] / dim,
            out_indices=tuple(depth * part // read - 1 for part in range(1, read + 1)),
            decoder_dim=tensors["decoder_pred.0.weight"].shape[0],
            pretrain_canvas=round((tensors["pos_embed"].shape[1] - 1) ** 0.5) * patch,
        )
    except (KeyError, ValueError, ZeroDivisionError, IndexError) as error:
        names = ", ".join(sorted(tensors)[:3])
        raise InputError(
            f"{path}: a checkpoint of another network ({len(tensors)} tensors: {names}, ...); "
            f"a SegGPT was expected ({error})"
        ) from error


def _read_hub(folder: Path) -> Checkpoint:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: lacks config.json (a Hub folder has it and model.safetensors)")
    try:
        config = _config_from_hub(json.loads(path.read_text(encoding="utf-8")))
    except MALFORMED as error:
        raise InputError(f"{path}: no configuration of a SegGPT ({error})") from error
    weights = folder / "model.safetensors"
    _, stored = read_safetensors(weights)
    tensors = {official_name(name): tensor for name, tensor in stored.items()}
    check(tensors, config, weights)
    return Checkpoint(config, tensors, "Hub")


def _config_from_hub(values: Mapping[str, Any]) -> SegGPTConfig:
    """Translate transformers' `SegGptConfig`; what its file leaves out has the released value."""
    fixed = {
        "model_type": "seggpt", "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True,
        "num_channels": 3, "use_relative_position_embeddings": True,
    }  # fmt: skip
    for name, value in fixed.items():
        if values.get(name, value) != value:
            raise InputError(f"{name} is {values[name]!r}; SegGPT has {value!r}")
    height, width = values.get("image_size", (896, 448))
    if height != 2 * width:
        raise InputError(f"image_size is {height} x {width}; SegGPT has two squares, 2S x S")
    dim = values.get("hidden_size", 1024)
    return SegGPTConfig(
        canvas=width,
        patch=values.get("patch_size", 16),
        dim=dim,
        depth=values.get("num_hidden_layers", 24),
        heads=values.get("num_attention_heads", 16),
        mlp_ratio=(values.get("mlp_dim") or 4 * dim) / dim,
        merge_index=values.get("merge_index", 2),
        out_indices=tuple(values.get("intermediate_hidden_state_indices", (5, 11, 17, 23))),
        decoder_dim=values.get("decoder_hidden_size", 64),
        pretrain_canvas=values.get("pretrain_image_size", 224),
    )
