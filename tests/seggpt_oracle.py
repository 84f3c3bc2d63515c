"""The independent oracle: transformers' SegGpt with our weights, and its known fault mended."""

from typing import Any

import torch
from torch import Tensor
from transformers import SegGptConfig, SegGptForImageSegmentation

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build

# Narrow decoders would be ill-conditioned: their LayerNorm divides by the spread of few channels.
CONFIGS = {
    "merge-1": SegGPTConfig(
        canvas=16, patch=4, dim=24, depth=4, heads=3, merge_index=1, out_indices=(1, 3),
        decoder_dim=10, pretrain_canvas=12,
    ),
    "merge-0": SegGPTConfig(
        canvas=24, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 1, 2),
        decoder_dim=8, pretrain_canvas=16,
    ),
    "merge-2": SegGPTConfig(
        canvas=20, patch=4, dim=16, depth=5, heads=1, mlp_ratio=2, merge_index=2,
        out_indices=(3, 4), decoder_dim=12, pretrain_canvas=20,
    ),
    "many-tokens": SegGPTConfig(
        canvas=34, patch=2, dim=16, depth=2, heads=2, merge_index=0, out_indices=(0, 1),
        decoder_dim=8, pretrain_canvas=8,
    ),
}  # fmt: skip


def random_network(config: SegGPTConfig, seed: int = 0) -> SegGPT:
    """Return a frozen network in which no tensor is zero anywhere, relative positions included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        network = build(config)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            std = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
            std = 0.3 if any(part in name for part in ("rel_pos", "token", "pos_embed")) else std
            parameter.normal_(std=std, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    return network.eval().requires_grad_(False)


def hub_config(config: SegGPTConfig) -> SegGptConfig:
    return SegGptConfig(
        hidden_size=config.dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        image_size=[2 * config.canvas, config.canvas],
        patch_size=config.patch,
        mlp_dim=int(config.dim * config.mlp_ratio),
        pretrain_image_size=config.pretrain_canvas,
        decoder_hidden_size=config.decoder_dim,
        merge_index=config.merge_index,
        intermediate_hidden_state_indices=list(config.out_indices),
    )


def transformers_model(network: SegGPT) -> SegGptForImageSegmentation:
    """Return transformers' model with our weights, averaging as the official code does."""
    from prompttune.backbone.checkpoints import hub_name

    with torch.device("meta"):
        model = SegGptForImageSegmentation(hub_config(network.config)).eval()
    tensors = {hub_name(name): value for name, value in network.state_dict().items()}
    model.load_state_dict(tensors, assign=True)
    model.requires_grad_(False)

    # The official code averages each stream apart up to and including the merge block
    # (`merge_idx >= idx`); transformers 5.23 leaves that block out (`merge_index > i`).
    def two_streams(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0], 2, *args[2:])

    model.model.encoder.layers[network.config.merge_index].register_forward_pre_hook(two_streams)
    return model


def random_canvas(config: SegGPTConfig, batch: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return image and target, B x 3 x 2S x S."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, batch, 3, 2 * config.canvas, config.canvas)
    image, target = torch.randn(shape, generator=generator)
    return image, target


def half_masked(config: SegGPTConfig, batch: int) -> Tensor:
    masked = torch.zeros(batch, config.tokens, dtype=torch.bool)
    masked[:, config.tokens // 2 :] = True
    return masked


def patch_masked(config: SegGPTConfig, batch: int) -> Tensor:
    return torch.rand(batch, config.tokens, generator=torch.Generator().manual_seed(2)) < 0.75


def relative_error(value: Tensor, expected: Tensor) -> float:
    return ((value - expected).abs().max() / expected.abs().max()).item()
