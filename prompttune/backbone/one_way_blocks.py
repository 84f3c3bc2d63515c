"""Parts of the one-way network: blocks, the matching of colors, the decoder that sees pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.linear import Linear
from prompttune.backbone.network import LayerNorm2d, Mlp
from prompttune.utils.errors import InputError

KeysValues = tuple[Tensor, Tensor]
"""Both `B x heads x tokens x d`."""


class CrossAttention(nn.Module):
    """Multi-head attention of tokens to themselves and to what is given."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = Linear(config.dim, 3 * config.dim)
        self.proj = Linear(config.dim, config.dim)

    def forward(self, tokens: Tensor, given: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Map `B x T x dim` to the same; also return the keys and values of these tokens."""
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        own = k, v
        if given is not None:
            k, v = (torch.cat(pair, 2) for pair in zip(given, own, strict=True))
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(2)), own


class GatedMlp(nn.Module):
    """Two linear layers, the first of which gates itself (SwiGLU, arXiv 2002.05202)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, 2 * hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `... x dim` to `... x dim`."""
        gate, values = self.fc1(tokens).chunk(2, -1)
        return self.fc2(F.silu(gate) * values)


class OneWayBlock(nn.Module):
    """A pre-norm transformer block whose tokens attend to themselves and to what is given."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.attn = CrossAttention(config)
        self.norm2 = nn.LayerNorm(config.dim, eps=1e-6)
        hidden = round(config.dim * config.mlp_ratio)
        kind = GatedMlp if config.mlp == "swiglu" else Mlp
        self.mlp = kind(config.dim, hidden)

    def forward(self, tokens: Tensor, given: KeysValues | None = None) -> tuple[Tensor, KeysValues]:
        """Map `B x T x dim` to the same; also return this block's keys and values of them."""
        attended, own = self.attn(self.norm1(tokens), given)
        tokens = tokens + attended
        return tokens + self.mlp(self.norm2(tokens)), own


class Matching(nn.Module):
    """Carries colors from prompts to a query, by attention between image features.

    Every depth of features matches on its own: normalized, projected, at a learned temperature.
    """

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        dim, depths = config.dim, len(config.match_indices)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for _ in range(depths))
        self.projections = nn.ModuleList(Linear(dim, dim, bias=False) for _ in range(depths))
        self.log_scale = nn.Parameter(torch.full((depths,), 3.0))  # of the cosines
        self.out = Linear(depths * dim, dim)

    def keys(self, features: Sequence[Tensor]) -> Tensor:
        """Map features of each depth, `B x T x dim`, to unit vectors, `B x depths x T x dim`."""
        layers = zip(self.norms, self.projections, features, strict=True)
        return torch.stack([F.normalize(to(norm(x)), dim=-1) for norm, to, x in layers], 1)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend.

        Args:
            queries: B x depths x T x dim, unit vectors; `keys`: B x depths x M x dim.
            values: B x M x dim, the colors of the prompts as tokens.

        Returns:
            B x T x dim.
        """
        queries = queries * self.log_scale.exp().view(-1, 1, 1)
        values = values[:, None].expand(-1, keys.shape[1], -1, -1)
        queries, keys = queries.to(values.dtype), keys.to(values.dtype)
        mixed = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        return self.out(mixed.transpose(1, 2).flatten(2))


class PixelDecoder(nn.Module):
    """The decoder's convolutions, which see the query's pixels beside what the tokens say."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        dim, pixel_dim = config.decoder_dim, config.pixel_dim
        self.pixels = nn.Sequential(
            nn.Conv2d(3, pixel_dim, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(pixel_dim, pixel_dim, 5, padding=2),
            nn.GELU(),
        )
        self.mix = nn.Sequential(
            nn.Conv2d(dim + pixel_dim, dim, 3, padding=1),
            LayerNorm2d(dim),
            nn.GELU(),
            nn.Conv2d(dim, dim, 3, padding=1),
            LayerNorm2d(dim),
            nn.GELU(),
            nn.Conv2d(dim, 3, 1),
        )

    def forward(self, coarse: Tensor, image: Tensor) -> Tensor:
        """Map `B x decoder_dim x S x S` and the image, `B x 3 x S x S`, to colors alike."""
        image = image.contiguous(memory_format=torch.channels_last)  # as `coarse` is
        return self.mix(torch.cat((coarse, self.pixels(image)), 1))


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """What the apart blocks make of images; no prompt changes it."""

    last: Tensor
    """`B x T x dim`, after the last apart block."""
    match: Tensor | None
    """Unit vectors, `B x depths x T x dim`; None in a network without matching."""
    early: tuple[Tensor, ...]
    """Of each image tap, `B x T x dim`."""

    def repeated(self, count: int) -> "ImageFeatures":
        """Repeat all images, one after the other, `count` times."""

        def repeat(x: Tensor) -> Tensor:
            return x.repeat(count, *[1] * (x.ndim - 1))

        match = None if self.match is None else repeat(self.match)
        return ImageFeatures(repeat(self.last), match, tuple(repeat(x) for x in self.early))


@dataclass(frozen=True, eq=False)
class CachedPrompt:
    """All that a query needs of a prompt: made by `OneWaySegGPT.encode_prompt`.

    B is 1, or with `one_a_query` the number of queries; M is the tokens of all N images.
    """

    tensors: tuple[Tensor, ...]
    """The type token, `B x 1 x dim`; with matching its keys, `B x depths x M x dim`, and values,
    `B x M x dim`; then keys and values, `B x heads x M x d`, of each later block."""
    prompts: int
    """N."""

    @classmethod
    def one_a_query(cls, prompts: Sequence["CachedPrompt"]) -> "CachedPrompt":
        """Put prompts of equally many images together, one for each query of a batch.

        Raises:
            InputError: prompts of different numbers of images.
        """
        counts = {prompt.prompts for prompt in prompts}
        if len(counts) != 1:
            raise InputError(f"ensemble: prompts of {sorted(counts)} images in one batch")
        alike = zip(*(prompt.tensors for prompt in prompts), strict=True)
        return cls(tuple(torch.cat(each) for each in alike), counts.pop())

    @classmethod
    def joined(cls, prompts: Sequence["CachedPrompt"]) -> "CachedPrompt":
        """Put prompts together to one that has the images of all, each encoded for itself.

        Args:
            prompts: of one task each (B is 1), with equal type tokens.
        """
        types, *_ = (prompt.tensors[0] for prompt in prompts)
        alike = zip(*(prompt.tensors[1:] for prompt in prompts), strict=True)
        tensors = (torch.cat(each, -2) for each in alike)  # all have their tokens there
        return cls((types, *tensors), sum(prompt.prompts for prompt in prompts))

    def repeated(self, count: int) -> "CachedPrompt":
        """Repeat every prompt for `count` queries in a row; of one prompt these are views."""
        if len(self.tensors[0]) == 1:
            many = [x.expand(count, *x.shape[1:]) for x in self.tensors]
        else:
            many = [x.repeat_interleave(count, 0) for x in self.tensors]
        return CachedPrompt(tuple(many), self.prompts)
