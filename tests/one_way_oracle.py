"""The independent oracle of the one-way layout: one query at a time, in float64, all plain.

All images of a task, `[prompt 1 | ... | prompt N | query]`, are one sequence of tokens; a matrix of
booleans says who sees whom.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone import SegGPT, SegGPTConfig

Weights = dict[str, Tensor]
EXTRAS = {
    "plain": {},
    "class-token": {"class_token": True},
    "matching": {"match_indices": (0, 2)},
    "image-taps": {"image_indices": (0, 1)},
    "pixels": {"pixel_dim": 5},
    "all": {"class_token": True, "match_indices": (1,), "image_indices": (0,), "pixel_dim": 4},
    "never-apart": {"apart": 0, "out_indices": (0, 2)},
    "other-grid": {"canvas": 20, "class_token": True, "match_indices": (2,)},
}


def small(**changes: object) -> SegGPTConfig:
    """Return a one-way config with changes; its last block is beyond the decoder."""
    sizes = {
        "canvas": 12, "patch": 4, "dim": 24, "depth": 6, "heads": 3, "mlp_ratio": 2.0,
        "out_indices": (3, 4), "decoder_dim": 8, "pretrain_canvas": 12, "one_way": True, "apart": 3,
    }  # fmt: skip
    return SegGPTConfig(**(sizes | changes))


def slow_answer(
    network: SegGPT,
    images: Tensor,
    colors: Tensor,
    query: Tensor,
    seg_type: int = 0,
    shift: Tensor | float = 0.0,
) -> Tensor:
    """Color one query, 3 x S x S, by N prompts, N x 3 x S x S each; in float64."""
    config = network.config
    w = {name: value.detach().double() for name, value in network.state_dict().items()}
    every = [*images.double(), query.double()]
    tokens = torch.cat([_first_tokens(w, config, image) for image in every])
    count = config.side**2
    image_of = torch.arange(len(every)).repeat_interleave(count + config.class_token)
    is_class = torch.zeros(len(every), count + config.class_token, dtype=torch.bool)
    is_class[:, : int(config.class_token)] = True
    is_class = is_class.flatten()
    alone = image_of[:, None] == image_of[None]
    patches = []
    for index in range(config.apart):
        tokens = _block(w, config, index, tokens, alone)
        patches.append(tokens[~is_class].view(len(every), count, -1))
    before = tokens[~is_class].view(len(every), count, -1)

    kind = w["type_token_ins" if seg_type == 1 else "type_token_cls"].view(-1) + shift
    x, y, hidden = (
        w[name].view(-1) for name in ("segment_token_x", "segment_token_y", "mask_token")
    )
    targets = [_patches(w, "target_embed", config, color) for color in colors.double()]
    below = before[-1] + x + hidden + kind
    if config.match_indices:
        below = below + _matched(w, config, patches, torch.cat(targets))
    above = [before[n] + target + x + y + kind for n, target in enumerate(targets)]
    tokens = torch.cat([*above, below])
    image_of = image_of[~is_class]
    sees = (image_of[:, None] == image_of[None]) | (image_of == len(colors))[:, None]
    features = [_norm(w, "norm", patches[tap][-1]) for tap in config.image_indices]
    for index in range(config.apart, config.out_indices[-1] + 1):
        tokens = _block(w, config, index, tokens, sees)
        if index in config.out_indices:
            features.append(_norm(w, "norm", tokens[-count:]))
    return _decoded(w, config, torch.cat(features, 1), query.double())


def _first_tokens(w: Weights, config: SegGPTConfig, image: Tensor) -> Tensor:
    tokens = _patches(w, "patch_embed", config, image) + slow_positions(w["pos_embed"], config)
    return torch.cat((w["pos_embed"][0, :1], tokens)) if config.class_token else tokens


def _patches(w: Weights, name: str, config: SegGPTConfig, image: Tensor) -> Tensor:
    kernel, bias, p = w[f"{name}.proj.weight"], w[f"{name}.proj.bias"], config.patch
    return torch.stack([
        torch.einsum("dcyx,cyx->d", kernel, image[:, p * i : p * i + p, p * j : p * j + p]) + bias
        for i in range(config.side)
        for j in range(config.side)
    ])  # fmt: skip


def slow_positions(stored: Tensor, config: SegGPTConfig) -> Tensor:
    """Resize stored positions, `1 x (1 + n * n) x dim`, by the cubic kernel (a = -3/4)."""
    old, new = config.pretrain_canvas // config.patch, config.side
    spread = torch.zeros(new, old, dtype=torch.float64)
    for row in range(new):
        at = (row + 0.5) * old / new - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            away = abs(at - tap)
            near = 1.25 * away**3 - 2.25 * away**2 + 1
            far = -0.75 * (away**3 - 5 * away**2 + 8 * away - 4)
            spread[row, min(max(tap, 0), old - 1)] += near if away <= 1 else far
    grid = stored[0, 1:].double().unflatten(0, (old, old))
    return torch.einsum("yi,xj,ijd->yxd", spread, spread, grid).flatten(0, 1)


def _norm(w: Weights, name: str, x: Tensor) -> Tensor:
    off = x - x.mean(-1, keepdim=True)
    scale = (off.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return off / scale * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def _block(w: Weights, config: SegGPTConfig, index: int, tokens: Tensor, sees: Tensor) -> Tensor:
    name = f"blocks.{index}"
    width = config.dim // config.heads
    q, k, v = _linear(w, f"{name}.attn.qkv", _norm(w, f"{name}.norm1", tokens)).chunk(3, 1)
    heads = []
    for head in range(config.heads):
        one = slice(head * width, (head + 1) * width)
        scores = q[:, one] @ k[:, one].T / width**0.5
        heads.append(scores.masked_fill(~sees, -torch.inf).softmax(1) @ v[:, one])
    tokens = tokens + _linear(w, f"{name}.attn.proj", torch.cat(heads, 1))
    hidden = _linear(w, f"{name}.mlp.fc1", _norm(w, f"{name}.norm2", tokens))
    return tokens + _linear(w, f"{name}.mlp.fc2", _gelu(hidden))


def _matched(w: Weights, config: SegGPTConfig, patches: list[Tensor], values: Tensor) -> Tensor:
    """Carry the prompts' colors to the query's tokens, depth by depth."""
    carried = []
    for depth, tap in enumerate(config.match_indices):
        normed = _norm(w, f"matching.norms.{depth}", patches[tap])
        mapped = normed @ w[f"matching.projections.{depth}.weight"].T
        unit = mapped / mapped.square().sum(-1, keepdim=True).sqrt()
        cosines = unit[-1] @ unit[:-1].flatten(0, 1).T
        carried.append((cosines * w["matching.log_scale"][depth].exp()).softmax(1) @ values)
    return _linear(w, "matching.out", torch.cat(carried, 1))


def _decoded(w: Weights, config: SegGPTConfig, features: Tensor, query: Tensor) -> Tensor:
    patch, side = config.patch, config.side
    embedded = _linear(w, "decoder_embed", features).view(side * side, patch, patch, -1)
    pixels = torch.zeros(config.decoder_dim, config.canvas, config.canvas, dtype=torch.float64)
    for number, one in enumerate(embedded):
        top, left = patch * (number // side), patch * (number % side)
        pixels[:, top : top + patch, left : left + patch] = one.permute(2, 0, 1)

    def convolved(name: str, x: Tensor) -> Tensor:
        weight = w[f"decoder_pred.{name}.weight"]
        return F.conv2d(x[None], weight, w[f"decoder_pred.{name}.bias"], padding="same")[0]

    def normed(name: str, x: Tensor) -> Tensor:
        return _norm(w, f"decoder_pred.{name}", x.permute(1, 2, 0)).permute(2, 0, 1)

    if not config.pixel_dim:
        return convolved("3", _gelu(normed("1", convolved("0", pixels))))
    seen = _gelu(convolved("pixels.2", _gelu(convolved("pixels.0", query))))
    both = convolved("mix.0", torch.cat((pixels, seen)))
    both = convolved("mix.3", _gelu(normed("mix.1", both)))
    return convolved("mix.6", _gelu(normed("mix.4", both)))
