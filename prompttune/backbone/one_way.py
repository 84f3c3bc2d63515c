"""The one-way layout of SegGPT: a prompt never looks at a query, so it is encoded once for good.

Three things differ from the official network (`prompttune.backbone.network`):

- **Apart.** In the first `apart` blocks every image sees itself alone, so that weights which were
  trained on single images keep their features.
- **One way.** From there on a query's tokens attend to those of all its prompts and to its own, a
  prompt's to its own alone. What a query needs of a prompt, the keys and values of every later
  block, depends on no query: `encode_prompt` computes it once.
- **Matching.** Where image and colors meet, a query's hidden target does not begin as a bare mask
  token: it takes over the prompts' colors, by attention between the image features of `match_taps`.
  (SEGIC, arXiv 2311.14671, and INSID3, arXiv 2603.28480, live on such features.)

The decoder may also read early blocks of the query's image (`image_taps`) and the query's pixels
(`pixel_dim`), for thin things that patches lose. There are no relative positions.

An ensemble is joint: the query attends to the tokens of all prompts at once, and the best matches
win, where the official one averages over the prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.linear import Linear
from prompttune.backbone.network import LayerNorm2d, Mlp, PatchEmbed, SegGPT
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
        dim, depths = config.dim, len(config.match_taps)
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

    def repeated(self, count: int) -> "CachedPrompt":
        """Repeat every prompt for `count` queries in a row; of one prompt these are views."""
        if len(self.tensors[0]) == 1:
            many = [x.expand(count, *x.shape[1:]) for x in self.tensors]
        else:
            many = [x.repeat_interleave(count, 0) for x in self.tensors]
        return CachedPrompt(tuple(many), self.prompts)


class OneWaySegGPT(SegGPT):
    """The one-way layout; `config.one_way` asks for it. Interface and names are `SegGPT`'s."""

    block_type = OneWayBlock

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__(config)
        self.target_embed = PatchEmbed(config)
        self.matching = Matching(config) if config.match_taps else None
        if config.pixel_dim:
            self.decoder_pred = PixelDecoder(config)

    def forward(
        self,
        image: Tensor,
        target: Tensor,
        masked: Tensor,
        seg_type: Tensor,
        query_only: bool = True,
    ) -> Tensor:
        """Color the query half of a canvas; arguments and result as in `SegGPT.forward`.

        Only the whole query can be hidden here, so `masked` changes nothing, and only the query
        half can be colored.

        Raises:
            InputError: `query_only` is False.
        """
        if not query_only:
            raise InputError("a one-way backbone colors the query half alone")
        above, query = image.chunk(2, 2)
        colors = target.chunk(2, 2)[0]
        return self.color(above[:, None], colors[:, None], query[:, None], seg_type)[:, 0]

    def color(self, images: Tensor, colors: Tensor, queries: Tensor, seg_type: Tensor) -> Tensor:
        """Color the queries of B tasks, each by its own prompts; what training needs.

        Args:
            images: B x N x 3 x S x S, the prompts; `colors` likewise.
            queries: B x Q x 3 x S x S.
            seg_type: B integers, 0 semantic, 1 instance.

        Returns:
            The queries' colors, B x Q x 3 x S x S.
        """
        tasks, prompts, many = len(images), images.shape[1], queries.shape[1]
        seen = self.encode_images(torch.cat((images, queries), 1).flatten(0, 1))
        above, below = _split(seen, tasks, prompts)
        cached = self._encode(above, colors.flatten(0, 1), self._type_token(seg_type))
        answers = self._answer(below, queries.flatten(0, 1), cached.repeated(many))
        return answers.unflatten(0, (tasks, many))

    def ensemble(  # type: ignore[override]
        self,
        queries: Tensor,
        images: Tensor | CachedPrompt | Sequence[CachedPrompt],
        colours: Tensor | None = None,
        seg_type: int = 0,
        features: ImageFeatures | None = None,
    ) -> Tensor:
        """Color B queries by N prompts at once, as `SegGPT.ensemble` does.

        Args:
            queries: B x 3 x S x S.
            images: N x 3 x S x S, the prompts' images; or what `encode_prompt` made of a prompt;
                or a list of these, one a query, each of N images.
            colours: N x 3 x S x S, the prompts' colors.
            seg_type: 0 semantic, 1 instance.
            features: what `encode_images` made of the queries, if that is known already.

        Returns:
            The queries' colors, B x 3 x S x S. Equals B separate calls.
        """
        count = queries.shape[0]  # `len` would fix the batch of an exported graph
        if isinstance(images, Tensor):
            if colours is None:
                raise InputError("ensemble: images of a prompt need their colours")
            cached = self.encode_prompt(images, colours, seg_type).repeated(count)
        elif isinstance(images, CachedPrompt):
            cached = images.repeated(count) if len(images.tensors[0]) == 1 else images
        else:
            cached = CachedPrompt.one_a_query(images)
        return self._answer(features or self.encode_images(queries), queries, cached)

    def encode_prompt(  # type: ignore[override]
        self,
        images: Tensor,
        colours: Tensor,
        seg_type: int = 0,
        type_shift: Tensor | None = None,
    ) -> CachedPrompt:
        """Compute of a prompt all that a query needs, for `ensemble`. Differentiable.

        Args:
            images: N x 3 x S x S, `colours` likewise.
            seg_type: 0 semantic, 1 instance.
            type_shift: `dim` values that are added to the type token; learned, it is a task's own.
        """
        types = self._type_token(seg_type)
        if type_shift is not None:
            types = types + type_shift.to(types)
        return self._encode(self.encode_images(images), colours, types)

    def encode_seen(self, seen: ImageFeatures, colors: Tensor, seg_type: int = 0) -> CachedPrompt:
        """Compute what `encode_prompt` does from what `encode_images` made of the prompt's images.

        Args:
            seen: of N images.
            colors: N x 3 x S x S.
            seg_type: 0 semantic, 1 instance.
        """
        return self._encode(seen, colors, self._type_token(seg_type))

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Run the apart blocks over images, `B x 3 x S x S`: what no prompt changes."""
        config = self.config
        tokens = self.patch_embed(images)
        tokens = tokens + self._positions().to(tokens)  # all blocks keep the embedding's dtype
        extra = 1 if config.class_token else 0
        if extra:
            first = self.pos_embed[:, :1].to(tokens).expand(tokens.shape[0], -1, -1)
            tokens = torch.cat((first, tokens), 1)
        found: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks[: config.apart]):
            tokens, _ = self._run_block(block, tokens, None)
            if index in (*config.match_taps, *config.image_taps):
                found[index] = tokens[:, extra:]
        match = None
        if self.matching is not None:
            match = self.matching.keys([found[tap] for tap in config.match_taps])
        early = tuple(found[tap] for tap in config.image_taps)
        return ImageFeatures(tokens[:, extra:], match, early)

    def _encode(self, seen: ImageFeatures, colors: Tensor, types: Tensor) -> CachedPrompt:
        """Run the later blocks over the prompts of B tasks, B the number of type tokens.

        `colors`: B N x 3 x S x S, and `seen` of as many images.
        """
        tasks = len(types)
        targets = self.target_embed(colors)
        marks = self.segment_token_x[0] + self.segment_token_y[0] + types
        tokens = seen.last + targets + marks.to(targets).repeat_interleave(len(colors) // tasks, 0)
        kept: list[Tensor] = [types]
        if seen.match is not None:
            keys = seen.match.unflatten(0, (tasks, -1)).transpose(1, 2).flatten(2, 3)
            # Contiguous, as `one_a_query` leaves them: of another layout attention takes another
            # way, and a query's last bits would depend on what shares its batch.
            kept += [keys, targets.unflatten(0, (tasks, -1)).flatten(1, 2).contiguous()]
        last = self.config.taps[-1]
        for block in self.blocks[self.config.apart : last + 1]:
            tokens, pair = self._run_block(block, tokens, None)
            kept += [x.unflatten(0, (tasks, -1)).transpose(1, 2).flatten(2, 3) for x in pair]
        return CachedPrompt(tuple(kept), len(colors) // tasks)

    def _answer(self, seen: ImageFeatures, queries: Tensor, cached: CachedPrompt) -> Tensor:
        """Run the later blocks over B queries, each beside its own prompts, and decode."""
        config = self.config
        types, *rest = cached.tensors
        marks = self.segment_token_x[0] + self.mask_token[0] + types
        tokens = seen.last + marks.to(seen.last)
        if self.matching is not None and seen.match is not None:
            keys, values, *rest = rest
            tokens = tokens + self.matching(seen.match, keys, values)
        features = [self.norm(x) for x in seen.early]
        pairs = zip(rest[::2], rest[1::2], strict=True)
        for index, given in enumerate(pairs, config.apart):
            tokens, _ = self._run_block(self.blocks[index], tokens, given)
            if index in config.taps:
                features.append(self.norm(tokens))
        return self._decoded(torch.cat(features, -1), queries)

    def _run_block(
        self, block: nn.Module, tokens: Tensor, given: KeysValues | None
    ) -> tuple[Tensor, KeysValues]:
        if self.memory == "saving" and torch.is_grad_enabled():
            return checkpoint(block, tokens, given, use_reentrant=False, preserve_rng_state=False)
        return block(tokens, given)

    def _decoded(self, features: Tensor, queries: Tensor) -> Tensor:
        """Turn features, `B x T x (taps * dim)`, into colors, `B x 3 x S x S`."""
        patch = self.config.patch
        pixels = self.decoder_embed(features)
        pixels = pixels.unflatten(-1, (patch, patch, -1)).unflatten(1, self._grid)
        pixels = pixels.transpose(2, 3).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        if isinstance(self.decoder_pred, PixelDecoder):
            return self.decoder_pred(pixels, queries)
        return self.decoder_pred(pixels)

    @property
    def _grid(self) -> tuple[int, int]:
        return self.config.side, self.config.side


def _split(seen: ImageFeatures, tasks: int, prompts: int) -> tuple[ImageFeatures, ImageFeatures]:
    """Part the features of B tasks of prompts and queries, `B (N + Q) x ...`, into both."""

    def part(x: Tensor, of: slice) -> Tensor:
        return x.unflatten(0, (tasks, -1))[:, of].flatten(0, 1)

    halves = (slice(None, prompts), slice(prompts, None))
    above, below = (
        ImageFeatures(
            part(seen.last, of),
            None if seen.match is None else part(seen.match, of),
            tuple(part(x, of) for x in seen.early),
        )
        for of in halves
    )
    return above, below


def build(config: SegGPTConfig) -> SegGPT:
    """Return the network that a config describes, without useful weights."""
    return OneWaySegGPT(config) if config.one_way else SegGPT(config)
