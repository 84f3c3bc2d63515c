"""The one-way layout of SegGPT: a prompt never looks at a query, so it is encoded once for good.

Three things differ from the official network (`prompttune.backbone.network`):

- **Apart.** In the first `apart` blocks every image sees itself alone, so that weights which were
  trained on single images keep their features.
- **One way.** From there on a query's tokens attend to those of all its prompts and to its own, a
  prompt's to its own alone. What a query needs of a prompt, the keys and values of every later
  block, depends on no query: `encode_prompt` computes it once.
- **Matching.** Where image and colors meet, a query's hidden target does not begin as a bare mask
  token: it takes over the prompts' colors,
  by attention between the image features of `match_indices`.
  (SEGIC, arXiv 2311.14671, and INSID3, arXiv 2603.28480, live on such features.)

The decoder may also read early blocks of the query's image (`image_indices`) and the query's pixels
(`pixel_dim`), for thin things that patches lose. There are no relative positions.

An ensemble is joint: the query attends to the tokens of all prompts at once, and the best matches
win, where the official one averages over the prompts.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.network import EncodedPrompt, PatchEmbed, SegGPT
from prompttune.backbone.one_way_blocks import (
    CachedPrompt,
    ImageFeatures,
    KeysValues,
    Matching,
    OneWayBlock,
    PixelDecoder,
)
from prompttune.utils.errors import InputError


class OneWaySegGPT(SegGPT):
    """The one-way layout; `config.one_way` asks for it. Interface and names are `SegGPT`'s."""

    block_type = OneWayBlock

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__(config)
        self.target_embed = PatchEmbed(config)
        self.matching = Matching(config) if config.match_indices else None
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
        colors: Tensor | None = None,
        seg_type: int = 0,
        features: ImageFeatures | None = None,
    ) -> Tensor:
        """Color B queries by N prompts at once, as `SegGPT.ensemble` does.

        Args:
            queries: B x 3 x S x S.
            images: N x 3 x S x S, the prompts' images; or what `encode_prompt` made of a prompt;
                or a list of these, one a query, each of N images.
            colors: N x 3 x S x S, the prompts' colors.
            seg_type: 0 semantic, 1 instance.
            features: what `encode_images` made of the queries, if that is known already.

        Returns:
            The queries' colors, B x 3 x S x S. Equals B separate calls.
        """
        count = queries.shape[0]  # `len` would fix the batch of an exported graph
        if isinstance(images, Tensor):
            if colors is None:
                raise InputError("ensemble: images of a prompt need their colors")
            cached = self.encode_prompt(images, colors, seg_type).repeated(count)
        elif isinstance(images, CachedPrompt):
            cached = images.repeated(count) if len(images.tensors[0]) == 1 else images
        else:
            cached = CachedPrompt.one_a_query(images)
        return self._answer(features or self.encode_images(queries), queries, cached)

    def encode_prompt(  # type: ignore[override]
        self,
        images: Tensor,
        colors: Tensor,
        seg_type: int = 0,
        type_shift: Tensor | None = None,
    ) -> CachedPrompt:
        """Compute of a prompt all that a query needs, for `ensemble`. Differentiable.

        Args:
            images: N x 3 x S x S, `colors` likewise.
            seg_type: 0 semantic, 1 instance.
            type_shift: `dim` values that are added to the type token; learned, it is a task's own.
        """
        types = self._type_token(seg_type)
        if type_shift is not None:
            types = types + type_shift.to(types)
        return self._encode(self.encode_images(images), colors, types)

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
            if index in (*config.match_indices, *config.image_indices):
                found[index] = tokens[:, extra:]
        match = None
        if self.matching is not None:
            match = self.matching.keys([found[tap] for tap in config.match_indices])
        early = tuple(found[tap] for tap in config.image_indices)
        return ImageFeatures(tokens[:, extra:], match, early)

    def _encode(self, seen: ImageFeatures, colors: Tensor, types: Tensor) -> CachedPrompt:
        """Run the later blocks over the prompts of B tasks, B the number of type tokens.

        `colors`: B N x 3 x S x S, and `seen` of as many images.
        """
        tasks, count = types.shape[0], colors.shape[0]  # `len` would fix them in an exported graph
        targets = self.target_embed(colors)
        marks = (self.segment_token_x[0] + self.segment_token_y[0] + types).to(targets)
        if tasks > 1:
            marks = marks.repeat_interleave(count // tasks, 0)
        tokens = seen.last + targets + marks
        kept: list[Tensor] = [types]
        if seen.match is not None:
            keys = seen.match.unflatten(0, (tasks, -1)).transpose(1, 2).flatten(2, 3)
            # Contiguous, as `one_a_query` leaves them: of another layout attention takes another
            # way, and a query's last bits would depend on what shares its batch.
            kept += [keys, targets.unflatten(0, (tasks, -1)).flatten(1, 2).contiguous()]
        last = self.config.out_indices[-1]
        for block in self.blocks[self.config.apart : last + 1]:
            tokens, pair = self._run_block(block, tokens, None)
            kept += [x.unflatten(0, (tasks, -1)).transpose(1, 2).flatten(2, 3) for x in pair]
        return CachedPrompt(tuple(kept), count // tasks)

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
            if index in config.out_indices:
                features.append(self.norm(tokens))
        return self._decoded(torch.cat(features, -1), queries)

    def _run_block(
        self, block: nn.Module, tokens: Tensor, given: KeysValues | None
    ) -> tuple[Tensor, KeysValues]:
        if self.memory == "saving" and torch.is_grad_enabled():
            return checkpoint(block, tokens, given, use_reentrant=False, preserve_rng_state=False)
        return block(tokens, given)

    def _decoded(self, features: Tensor, queries: Tensor) -> Tensor:
        """Turn features, `B x T x (out_indices * dim)`, into colors, `B x 3 x S x S`."""
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


Encoded = EncodedPrompt | CachedPrompt


def color_and_describe(
    network: SegGPT, queries: Tensor, prompt: Encoded | Sequence[Encoded]
) -> tuple[Tensor, Tensor]:
    """Color queries as `ensemble` does, and describe them at next to no cost.

    Of a one-way network the features are those of the image alone, after the last apart block; of
    the official one those of the query after the last block, which depend on the prompt as well.

    Args:
        network: of either layout.
        queries: B x 3 x S x S.
        prompt: what `encode_prompt` made, or a list of these, one a query.

    Returns:
        Colors, B x 3 x S x S, and features, B x dim, the mean over the query's tokens.
    """
    if isinstance(network, OneWaySegGPT):
        seen = network.encode_images(queries)
        colors = network.ensemble(queries, prompt, features=seen)  # type: ignore[arg-type]
        return colors, seen.last.float().mean(1)
    found: list[Tensor] = []
    # The norm sees one tap after the other: the last call of a forward pass is the last block's.
    hook = network.norm.register_forward_hook(lambda _, __, tokens: found.append(tokens))
    try:
        colors = network.ensemble(queries, prompt)  # type: ignore[arg-type]
    finally:
        hook.remove()
    half = network.config.tokens // 2
    return colors, found[-1].flatten(1, -2)[:, -half:].float().mean(1)


def describe(
    network: SegGPT, queries: Tensor, encoded: Callable[[], Encoded | Sequence[Encoded]]
) -> Tensor:
    """Return the features of `color_and_describe` alone, without the answer where that is less.

    Args:
        network: frozen.
        queries: as in `color_and_describe`.
        encoded: gives the encoded prompt, which a network that sees images alone does not need.

    Returns:
        The features.
    """
    if isinstance(network, OneWaySegGPT):
        return network.encode_images(queries).last.float().mean(1)
    return color_and_describe(network, queries, encoded())[1]
