"""SegGPT: a Vision Transformer that colors a query as its prompt is colored.

Re-implemented from the public description and behavior of baaivision/Painter
(`SegGPT/SegGPT_inference/models_seggpt.py`; paper arXiv 2304.03284). Parameters bear the official
names.

One layout serves a single prompt and the feature ensemble alike: a row of tokens is
`[prompt 1 | ... | prompt N | query]`, T = side * side tokens each. The query stands there once,
because the ensemble averages its attention over the prompts before the residual sum (paper, section
3.3), so it is the same beside every prompt.

Nothing is computed that the answer does not show. Inference and tuning decode the query half alone,
so the last block computes that half and its border, the row of patches above it. And the target
stream, in which the query is nothing but mask tokens, depends on the prompt alone: `encode_prompt`
computes it once for all queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prompttune.backbone.attention import attend
from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.linear import Linear
from prompttune.utils.errors import InputError

PROMPTS_AT_A_TIME = 4
"""Of an ensemble without gradients: what one layer holds beside the tokens does not grow with N."""


class Attention(nn.Module):
    """Multi-head attention of each prompt with the query, with decomposed relative positions."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.grid = config.grid
        head_dim = config.dim // config.heads
        self.qkv = Linear(config.dim, 3 * config.dim)
        self.proj = Linear(config.dim, config.dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * self.grid[0] - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * self.grid[1] - 1, head_dim))

    def forward(self, tokens: Tensor, prompts: int, tail: int | None = None) -> Tensor:
        """Map `B x (prompts + 1) T x dim` to the same; the query's part is averaged over prompts.

        With `tail`, only the last tokens of `[prompt 1 | query]` come back, `B x tail x dim`.
        """
        if prompts > PROMPTS_AT_A_TIME and not torch.is_grad_enabled():
            return self._few_at_a_time(tokens, prompts, tail)
        qkv = self.qkv(tokens)
        if prompts > 1:
            qkv = _beside_each_prompt(qkv, prompts)
        mixed = attend(qkv, self.rel_pos_h, self.rel_pos_w, self.heads, self.grid, tail)
        if prompts > 1:
            query_tokens = tokens.shape[1] // (prompts + 1)
            mixed = _average_query(mixed, prompts, query_tokens, first_only=tail is not None)
        return self.proj(mixed)

    def _few_at_a_time(self, tokens: Tensor, prompts: int, tail: int | None) -> Tensor:
        *parts, query = tokens.chunk(prompts + 1, 1)
        query_qkv, above, summed = self.qkv(query), [], torch.zeros_like(query)
        for start in range(0, prompts, PROMPTS_AT_A_TIME):
            few = parts[start : start + PROMPTS_AT_A_TIME]
            qkv = torch.cat((self.qkv(torch.cat(few, 1)), query_qkv), 1)
            qkv = _beside_each_prompt(qkv, len(few))
            mixed = attend(qkv, self.rel_pos_h, self.rel_pos_w, self.heads, self.grid, tail)
            mean = _average_query(mixed, len(few), query.shape[1], first_only=tail is not None)
            if tail is None or start == 0:
                above.append(mean[:, : -query.shape[1]])
            summed = summed + len(few) * mean[:, -query.shape[1] :]
        return self.proj(torch.cat((*above, summed / prompts), 1))


def _beside_each_prompt(tokens: Tensor, prompts: int) -> Tensor:
    """Turn `B x (N + 1) T x d` into `B N x 2T x d`: each prompt with the query below it."""
    parts = tokens.unflatten(1, (prompts + 1, -1))
    query = parts[:, -1:].expand(-1, prompts, -1, -1)
    return torch.cat((parts[:, :-1], query), 2).flatten(0, 1)


def _average_query(canvases: Tensor, prompts: int, query_tokens: int, first_only: bool) -> Tensor:
    """Undo `_beside_each_prompt`, averaging the N answers of the query."""
    canvases = canvases.unflatten(0, (-1, prompts))
    above, query = canvases[:, :, :-query_tokens], canvases[:, :, -query_tokens:]
    above = above[:, 0] if first_only else above.flatten(1, 2)
    return torch.cat((above, query.mean(1)), 1)


def _first_canvas(tokens: Tensor, prompts: int, tail: int) -> Tensor:
    """Return the last `tail` tokens of `[prompt 1 | query]`; they stay if they are all there is."""
    if tokens.shape[1] == tail:
        return tokens
    part = tokens.shape[1] // (prompts + 1)
    if prompts == 1:
        return tokens[:, -tail:]
    return torch.cat((tokens[:, 2 * part - tail : part], tokens[:, -part:]), 1)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `... x dim` to `... x dim`."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.dim, eps=1e-6)
        self.mlp = Mlp(config.dim, int(config.dim * config.mlp_ratio))

    def forward(self, tokens: Tensor, prompts: int, tail: int | None = None) -> Tensor:
        """Map `B x (prompts + 1) T x dim` to the same shape, or with `tail` to `B x tail x dim`."""
        attended = self.attn(self.norm1(tokens), prompts, tail)
        if tail is not None:
            tokens = _first_canvas(tokens, prompts, tail)
        tokens = tokens + attended
        if prompts > PROMPTS_AT_A_TIME and not torch.is_grad_enabled():
            few = PROMPTS_AT_A_TIME * tokens.shape[1] // (prompts + 1)
            return torch.cat([x + self.mlp(self.norm2(x)) for x in tokens.split(few, 1)], 1)
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbed(nn.Module):
    """Patches of an image as tokens, by one strided convolution."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.dim, config.patch, stride=config.patch)

    def forward(self, image: Tensor) -> Tensor:
        """Map `B x 3 x H x W` to `B x tokens x dim`, row by row."""
        return self.proj(image).flatten(2).transpose(1, 2)


class LayerNorm2d(nn.Module):
    """LayerNorm over the channels of `B x C x H x W`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize every pixel over its channels."""
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-6)
        return x.permute(0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """What `SegGPT.encode_prompt` knows of a prompt before it sees a query.

    B is 1, or with `one_a_query` the number of queries.
    """

    images: Tensor
    """Tokens of the N images as the first block takes them, `B x N T x dim`."""
    target_stream: Tensor
    """The target stream of prompts and query after `merge_index`, `B x (N + 1) T x dim`."""
    prompts: int
    """N."""
    type_token: Tensor
    """Of the task, `B x 1 x dim`; every token bears it."""

    @classmethod
    def one_a_query(cls, prompts: Sequence["EncodedPrompt"]) -> "EncodedPrompt":
        """Put prompts of equally many images together, one for each query of a batch.

        Raises:
            InputError: prompts of different numbers of images.
        """
        counts = {prompt.prompts for prompt in prompts}
        if len(counts) != 1:
            raise InputError(f"ensemble: prompts of {sorted(counts)} images in one batch")
        images = torch.cat([prompt.images for prompt in prompts])
        types = torch.cat([prompt.type_token for prompt in prompts])
        streams = torch.cat([prompt.target_stream for prompt in prompts])
        return cls(images, streams, counts.pop(), types)


class SegGPT(nn.Module):
    """The whole network. All images and colors are in ImageNet-normalized space.

    `name` and `fingerprint` say which weights it holds (see `prompttune.backbone.weights`).
    `memory` is a switch for gradients: "fast", or "saving", which keeps the input of every block
    alone and computes the block again in the backward pass.
    """

    block_type: type[nn.Module] = Block

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.name = "untrained"
        self.fingerprint = ""
        self.memory: Literal["fast", "saving"] = "fast"
        dim = config.dim
        self.patch_embed = PatchEmbed(config)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_x = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_y = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_cls = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_ins = nn.Parameter(torch.zeros(1, 1, 1, dim))
        stored = config.pretrain_canvas // config.patch
        self.pos_embed = nn.Parameter(torch.zeros(1, stored**2 + 1, dim))  # the first is unused
        self.blocks = nn.ModuleList(self.block_type(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        features = (len(config.out_indices) + len(config.image_indices)) * dim
        self.decoder_embed = Linear(features, config.patch**2 * config.decoder_dim)
        self.decoder_pred: nn.Module = nn.Sequential(
            nn.Conv2d(config.decoder_dim, config.decoder_dim, 3, padding=1),
            LayerNorm2d(config.decoder_dim),
            nn.GELU(),
            nn.Conv2d(config.decoder_dim, 3, 1),
        )
        self._frozen_positions: tuple[Tensor, int, Tensor] | None = None

    def forward(
        self,
        image: Tensor,
        target: Tensor,
        masked: Tensor,
        seg_type: Tensor,
        query_only: bool = True,
    ) -> Tensor:
        """Color the masked part of a canvas.

        Args:
            image: B x 3 x 2S x S, the prompt's image above the query's.
            target: B x 3 x 2S x S, the prompt's colors above the query's (any value where masked).
            masked: B x tokens bool, True where the target is hidden from the network.
            seg_type: B integers, 0 semantic, 1 instance.
            query_only: decode the query half alone (what inference and tuning need).

        Returns:
            Colors, B x 3 x S x S, or B x 3 x 2S x S with `query_only=False`.
        """
        types = self._type_token(seg_type)
        position = self._positions()
        images = self.patch_embed(image) + self.segment_token_x[0] + position + types
        targets = self.patch_embed(target)
        targets = torch.where(masked[..., None], self.mask_token[0].to(targets.dtype), targets)
        targets = targets + self.segment_token_y[0] + position + types
        images, targets = self._until_merge(torch.cat((images, targets)), prompts=1).chunk(2)
        return self._color((images + targets) * 0.5, prompts=1, query_only=query_only)

    def ensemble(
        self,
        queries: Tensor,
        images: Tensor | EncodedPrompt | Sequence[EncodedPrompt],
        colors: Tensor | None = None,
        seg_type: int = 0,
    ) -> Tensor:
        """Color B queries by N prompts at once: the feature ensemble (N = 1: one-shot, or a key).

        Args:
            queries: B x 3 x S x S.
            images: N x 3 x S x S, the prompts' images; or what `encode_prompt` made of a prompt,
                which then is all that is needed; or a list of these, one a query, each of N images.
            colors: N x 3 x S x S, the prompts' colors.
            seg_type: 0 semantic, 1 instance.

        Returns:
            The queries' colors, B x 3 x S x S. Equals B separate calls.
        """
        if isinstance(images, Tensor):
            if colors is None:
                raise InputError("ensemble: images of a prompt need their colors")
            prompt = self.encode_prompt(images, colors, seg_type)
        elif isinstance(images, EncodedPrompt):
            prompt = images
        else:
            prompt = EncodedPrompt.one_a_query(images)
        below = self._positions()[:, -self.config.tokens // 2 :]
        query = self.patch_embed(queries) + self.segment_token_x[0] + below + prompt.type_token
        count = queries.shape[0]  # `len` would fix the batch of an exported graph
        row = torch.cat((prompt.images.expand(count, -1, -1), query), 1)
        merged = (self._until_merge(row, prompt.prompts) + prompt.target_stream) * 0.5
        return self._color(merged, prompt.prompts, query_only=True)

    def encode_prompt(
        self,
        images: Tensor,
        colors: Tensor,
        seg_type: int = 0,
        type_shift: Tensor | None = None,
    ) -> EncodedPrompt:
        """Compute of a prompt all that no query changes, for `ensemble`: its whole target stream.

        Exact: the query's target is hidden until the streams merge. Differentiable.

        Args:
            images: N x 3 x S x S, `colors` likewise.
            seg_type: 0 semantic, 1 instance.
            type_shift: `dim` values that are added to the type token; learned, it is a task's own.
        """
        types = self._type_token(seg_type)
        if type_shift is not None:
            types = types + type_shift.to(types)
        above, below = self._positions().chunk(2, dim=1)
        above_x = self.patch_embed(images) + self.segment_token_x[0] + above + types
        above_y = self.patch_embed(colors) + self.segment_token_y[0] + above + types
        below_y = (self.mask_token[0] + self.segment_token_y[0] + below + types).to(above_y.dtype)
        row = torch.cat((above_y.flatten(0, 1)[None], below_y), 1)
        target_stream = self._until_merge(row, len(images))
        return EncodedPrompt(above_x.flatten(0, 1)[None], target_stream, len(images), types)

    def _until_merge(self, tokens: Tensor, prompts: int) -> Tensor:
        """Run the blocks in which image stream and target stream are apart."""
        for block in self.blocks[: self.config.merge_index + 1]:
            tokens = self._run(block, tokens, prompts)
        return tokens

    def _color(self, tokens: Tensor, prompts: int, query_only: bool) -> Tensor:
        """Turn the merged streams, `B x (N + 1) T x dim`, into colors.

        The official ensemble decodes the canvas of prompt 1, so its end borders on the query.
        """
        config = self.config
        tail = config.tokens // 2 + config.grid[1] if query_only else config.tokens
        last = config.out_indices[-1]
        features = []
        for index in range(config.merge_index, last + 1):
            if index > config.merge_index:
                only = tail if index == last else None
                tokens = self._run(self.blocks[index], tokens, prompts, only)
            if index in config.out_indices:
                features.append(self.norm(_first_canvas(tokens, prompts, tail)))
        return self._decode(torch.cat(features, -1), query_only)

    def _run(
        self, block: nn.Module, tokens: Tensor, prompts: int, tail: int | None = None
    ) -> Tensor:
        if self.memory == "saving" and torch.is_grad_enabled():
            return checkpoint(
                block, tokens, prompts, tail, use_reentrant=False, preserve_rng_state=False
            )
        return block(tokens, prompts, tail)

    def _decode(self, features: Tensor, query_only: bool) -> Tensor:
        """Turn features of whole rows of patches, `B x tail x (out_indices * dim)`, into colors."""
        patch, columns = self.config.patch, self.config.grid[1]
        pixels = self.decoder_embed(features)
        pixels = pixels.unflatten(-1, (patch, patch, -1)).unflatten(1, (-1, columns))
        pixels = pixels.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # B x H x W x channels
        pixels = pixels.permute(0, 3, 1, 2)
        if query_only:  # of the row above, the 3x3 convolution sees one line of pixels
            return self.decoder_pred(pixels[:, :, patch - 1 :])[:, :, 1:]
        return self.decoder_pred(pixels)

    def _positions(self) -> Tensor:
        """Return the absolute positions of the canvas, `1 x tokens x dim`; kept while frozen."""
        source = self.pos_embed
        if source.requires_grad or source.is_inference() or torch.compiler.is_compiling():
            return self._resized_positions()
        kept = self._frozen_positions
        if kept is None or kept[0].data_ptr() != source.data_ptr() or kept[1] != source._version:
            with torch.inference_mode(False), torch.no_grad():
                kept = (source.detach(), source._version, self._resized_positions())
            self._frozen_positions = kept
        return kept[2]

    def _resized_positions(self) -> Tensor:
        """Resize the stored positions to the canvas (bicubic, as the official code)."""
        stored = self.config.pretrain_canvas // self.config.patch
        grid = self.pos_embed[:, 1:].unflatten(1, (stored, stored)).permute(0, 3, 1, 2)
        if self._grid != (stored, stored):
            grid = F.interpolate(grid, size=self._grid, mode="bicubic", align_corners=False)
        return grid.flatten(2).transpose(1, 2)

    @property
    def _grid(self) -> tuple[int, int]:
        """Rows and columns of the patches that have positions of their own."""
        return self.config.grid

    def _type_token(self, seg_type: Tensor | int) -> Tensor:
        """Return the type tokens, `B x 1 x dim`, or for a number `1 x 1 x dim`."""
        semantic, instance = self.type_token_cls[0], self.type_token_ins[0]
        if isinstance(seg_type, int):
            return instance if seg_type == 1 else semantic
        return torch.where((seg_type == 1).view(-1, 1, 1), instance, semantic)
