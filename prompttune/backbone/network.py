"""SegGPT: a Vision Transformer that colours a query as its prompt is coloured.

Re-implemented from the public description and behaviour of baaivision/Painter
(`SegGPT/SegGPT_inference/models_seggpt.py`; paper arXiv 2304.03284). Parameters bear the official names.

One layout serves a single prompt and the feature ensemble alike: a row of tokens is
`[prompt 1 | ... | prompt N | query]`, T = side * side tokens each. The query stands there once, because
the ensemble averages its attention over the prompts before the residual sum (paper, section 3.3), so it
is the same beside every prompt.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompttune.backbone.attention import attend
from prompttune.backbone.config import SegGPTConfig


class Attention(nn.Module):
    """Multi-head attention of each prompt with the query, with decomposed relative positions."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.grid = config.grid
        head_dim = config.dim // config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * self.grid[0] - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * self.grid[1] - 1, head_dim))

    def forward(self, tokens: Tensor, prompts: int) -> Tensor:
        """Map `B x (prompts + 1) T x dim` to the same shape; the query's part is averaged over prompts."""
        qkv = self.qkv(tokens)
        canvases = _beside_each_prompt(qkv, prompts) if prompts > 1 else qkv
        q, k, v = canvases.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(q, k, v, self.rel_pos_h.to(q.dtype), self.rel_pos_w.to(q.dtype), self.grid)
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.proj(_average_query(mixed, prompts) if prompts > 1 else mixed)


def _beside_each_prompt(tokens: Tensor, prompts: int) -> Tensor:
    """Turn `B x (N + 1) T x d` into `B N x 2T x d`: each prompt with the query below it."""
    parts = tokens.unflatten(1, (prompts + 1, -1))
    query = parts[:, -1:].expand(-1, prompts, -1, -1)
    return torch.cat((parts[:, :-1], query), 2).flatten(0, 1)


def _average_query(canvases: Tensor, prompts: int) -> Tensor:
    """Undo `_beside_each_prompt`, averaging the N answers of the query."""
    prompt, query = canvases.unflatten(0, (-1, prompts)).chunk(2, dim=2)
    return torch.cat((prompt.flatten(1, 2), query.mean(1)), 1)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

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

    def forward(self, tokens: Tensor, prompts: int) -> Tensor:
        """Map `B x (prompts + 1) T x dim` to the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens), prompts)
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
        """Normalise every pixel over its channels."""
        channels_last = x.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, self.weight.shape, self.weight, self.bias, 1e-6).permute(
            0, 3, 1, 2
        )


class SegGPT(nn.Module):
    """The whole network. All images and colours are in ImageNet-normalised space.

    `name` and `fingerprint` say which weights it holds (see `prompttune.backbone.weights`).
    """

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.name = "untrained"
        self.fingerprint = ""
        dim = config.dim
        self.patch_embed = PatchEmbed(config)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_x = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_y = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_cls = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_ins = nn.Parameter(torch.zeros(1, 1, 1, dim))
        stored = config.pretrain_canvas // config.patch
        self.pos_embed = nn.Parameter(
            torch.zeros(1, stored**2 + 1, dim)
        )  # the first is a class token's, unused
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.decoder_embed = nn.Linear(len(config.taps) * dim, config.patch**2 * config.decoder_dim)
        self.decoder_pred = nn.Sequential(
            nn.Conv2d(config.decoder_dim, config.decoder_dim, 3, padding=1),
            LayerNorm2d(config.decoder_dim),
            nn.GELU(),
            nn.Conv2d(config.decoder_dim, 3, 1),
        )

    def forward(
        self,
        image: Tensor,
        target: Tensor,
        masked: Tensor,
        seg_type: Tensor,
        query_only: bool = True,
    ) -> Tensor:
        """Colour the masked part of a canvas.

        Args:
            image: B x 3 x 2S x S, the prompt's image above the query's.
            target: B x 3 x 2S x S, the prompt's colours above the query's (any value where masked).
            masked: B x tokens bool, True where the target is hidden from the network.
            seg_type: B integers, 0 semantic, 1 instance.
            query_only: decode the query half alone (what inference and tuning need).

        Returns:
            Colours, B x 3 x S x S, or B x 3 x 2S x S with `query_only=False`.
        """
        types = self._type_token(seg_type)
        position = self._positions()
        images = self.patch_embed(image) + self.segment_token_x[0] + position + types
        targets = self.patch_embed(target)
        targets = torch.where(masked[..., None], self.mask_token[0].to(targets.dtype), targets)
        targets = targets + self.segment_token_y[0] + position + types
        return self._decode(self._features(images, targets, prompts=1), query_only)

    def ensemble(
        self, queries: Tensor, images: Tensor, colours: Tensor, seg_type: int = 0
    ) -> Tensor:
        """Colour B queries by N prompts at once: the feature ensemble (N = 1: one-shot, or a key).

        Args:
            queries: B x 3 x S x S.
            images: N x 3 x S x S, the prompts' images; `colours` likewise, their colours.
            seg_type: 0 semantic, 1 instance.

        Returns:
            The queries' colours, B x 3 x S x S. Equals B separate calls.
        """
        batch, prompts = len(queries), len(images)
        types = self._type_token(torch.tensor([seg_type], device=queries.device))
        above, below = self._positions().chunk(2, dim=1)
        token_x, token_y = self.segment_token_x[0], self.segment_token_y[0]
        prompt_x = self.patch_embed(images) + token_x + above + types
        prompt_y = self.patch_embed(colours) + token_y + above + types
        query_x = self.patch_embed(queries) + token_x + below + types
        query_y = (self.mask_token[0] + token_y + below + types).to(query_x.dtype)
        every_x = prompt_x.flatten(0, 1).expand(batch, -1, -1)
        every_y = prompt_y.flatten(0, 1).expand(batch, -1, -1)
        images_row = torch.cat((every_x, query_x), 1)
        targets_row = torch.cat((every_y, query_y.expand(batch, -1, -1)), 1)
        return self._decode(self._features(images_row, targets_row, prompts), query_only=True)

    def _features(self, images: Tensor, targets: Tensor, prompts: int) -> Tensor:
        """Run the blocks; return the taps of prompt 1 and the query, `B x 2T x (taps * dim)`."""
        tokens = torch.cat((images, targets))
        taps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, prompts)
            if index == self.config.merge_block:
                image_stream, target_stream = tokens.chunk(2)
                tokens = (image_stream + target_stream) * 0.5
            if index in self.config.taps:
                taps.append(self.norm(self._first_canvas(tokens, prompts)))
        return torch.cat(taps, -1)

    def _first_canvas(self, tokens: Tensor, prompts: int) -> Tensor:
        # The official ensemble decodes the canvas of prompt 1, whose last row borders on the query.
        if prompts == 1:
            return tokens
        parts = tokens.unflatten(1, (prompts + 1, -1))
        return torch.cat((parts[:, 0], parts[:, -1]), 1)

    def _decode(self, features: Tensor, query_only: bool) -> Tensor:
        """Turn features `B x 2T x (taps * dim)` into colours."""
        config = self.config
        rows, columns = config.grid
        if (
            query_only
        ):  # one row of patches above the query: what the 3x3 convolution sees at the border
            rows = config.side + 1
            features = features[:, -rows * columns :]
        pixels = self.decoder_embed(features)
        pixels = pixels.unflatten(1, (rows, columns)).unflatten(
            -1, (config.patch, config.patch, -1)
        )
        pixels = pixels.permute(0, 5, 1, 3, 2, 4).flatten(2, 3).flatten(3, 4)
        if query_only:
            return self.decoder_pred(pixels[:, :, config.patch - 1 :])[:, :, 1:]
        return self.decoder_pred(pixels)

    def _positions(self) -> Tensor:
        """Return the absolute positions of the canvas, `1 x tokens x dim` (bicubic, as the official code)."""
        stored = self.config.pretrain_canvas // self.config.patch
        grid = self.pos_embed[:, 1:].unflatten(1, (stored, stored)).permute(0, 3, 1, 2)
        if self.config.grid != (stored, stored):
            grid = F.interpolate(grid, size=self.config.grid, mode="bicubic", align_corners=False)
        return grid.flatten(2).transpose(1, 2)

    def _type_token(self, seg_type: Tensor) -> Tensor:
        """Return the type tokens, `B x 1 x dim`."""
        is_instance = (seg_type == 1).view(-1, 1, 1)
        return torch.where(is_instance, self.type_token_ins[0], self.type_token_cls[0])
