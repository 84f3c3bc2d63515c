"""The learnable prompt: plain torch, no trainer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompttune.backbone import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.normalize import denormalize, normalize


class LearnablePrompt(nn.Module):
    """A prompt whose pixels are parameters (paper, section 3.4: in-context tuning).

    A composition is learned as one: G prompts, each for its own group of classes, all in one batch.
    `images` and `colors` are those of all prompts one after the other, `N x 3 x S x S` in pixel
    space; `type_shifts`, `G x type_dim`, are added to the type tokens (None with `type_dim` 0). The
    palettes that decode answers are fixed; learned colors need not equal them. In train mode noise
    of deviation `jitter` is added and a share `dropout` of the pixel values is dropped, so that a
    prompt does not hang on single pixels.
    """

    def __init__(
        self,
        start: Prompt | Composition,
        canvas: int,
        learn: str,
        bounded: bool,
        jitter: float = 0.0,
        dropout: float = 0.0,
        type_dim: int = 0,
    ) -> None:
        super().__init__()
        self.start = Composition(start.parts)
        halves = zip(*(part.at(canvas) for part in start.parts), strict=True)
        images, colors = (torch.cat(half) for half in halves)
        self.images = nn.Parameter(images.clone(), requires_grad=learn in ("both", "image"))
        self.colors = nn.Parameter(colors.clone(), requires_grad=learn in ("both", "colors"))
        shifts = torch.zeros(len(start.parts), type_dim)
        self.type_shifts = nn.Parameter(shifts) if type_dim else None
        self.bounded = bounded
        self.jitter, self.dropout = jitter, dropout

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The G prompts as they were at the start: palettes, type tokens, numbers of images."""
        return self.start.parts

    def forward(
        self, network: SegGPT, queries: Tensor, groups: Sequence[int] | None = None
    ) -> Tensor:
        """Color queries, `B x 3 x S x S` in pixel space, by each prompt.

        Args:
            network: that answers.
            queries: B x 3 x S x S, pixel space.
            groups: indices of the prompts that answer, at least one; None: all.

        Returns:
            `G x B x 3 x S x S`, pixel space.
        """
        groups = range(len(self.parts)) if groups is None else groups
        sizes = [len(part.images) for part in self.parts]
        images, colors = (
            self._disturbed(normalize(x)).split(sizes) for x in (self.images, self.colors)
        )
        shifts = self.type_shifts if self.type_shifts is not None else [None] * len(sizes)
        encoded = [
            network.encode_prompt(
                images[index], colors[index], self.parts[index].seg_type, shifts[index]
            )
            for index in groups
        ]
        queries = normalize(queries)
        if len({sizes[index] for index in groups}) == 1 < len(encoded):
            answers = _by_each(network, queries, encoded)
        else:
            answers = torch.cat([network.ensemble(queries, one) for one in encoded])
        return denormalize(answers.float()).unflatten(0, (len(encoded), -1))

    def decide(self, answers: Tensor) -> Tensor:
        """Turn answers `G x B x 3 x S x S` into class maps `B x S x S uint8` of all classes."""
        pairs = zip(self.parts, answers, strict=True)
        scores = torch.cat([part.palette.scores(answer) for part, answer in pairs], 1)
        return self.start.decide(scores.transpose(0, 1))

    def _disturbed(self, values: Tensor) -> Tensor:
        if self.training and self.jitter:
            values = values + self.jitter * torch.randn_like(values)
        return F.dropout(values, self.dropout, self.training and self.dropout > 0)

    @torch.no_grad()
    def project(self) -> None:
        """Bring pixels back to [0, 1] after a step: a clamp in the forward would kill gradients."""
        if self.bounded:
            for pixels in (self.images, self.colors):
                pixels.clamp_(0, 1)


def _by_each(network: SegGPT, queries: Tensor, encoded: list[Any]) -> Tensor:
    """Color B queries by each of G prompts at once: `G B x 3 x S x S`."""
    each = [one for one in encoded for _ in queries]
    repeated = queries.repeat(len(encoded), 1, 1, 1)
    if isinstance(network, OneWaySegGPT):  # what no prompt changes is computed once
        features = network.encode_images(queries).repeated(len(encoded))
        return network.ensemble(repeated, each, features=features)
    return network.ensemble(repeated, each)


def with_learned(
    start: Prompt | Composition,
    fingerprint: str,
    images: Tensor,
    colors: Tensor,
    type_shifts: Tensor | None = None,
) -> Prompt | Composition:
    """Return what tuning started from with what was learned, see `LearnablePrompt`."""
    sizes = [len(part.images) for part in start.parts]
    shifts = [None] * len(sizes) if type_shifts is None else list(type_shifts)
    halves = zip(start.parts, images.split(sizes), colors.split(sizes), shifts, strict=True)
    learned = [
        replace(
            part, images=tuple(own), colors=tuple(painted), type_shift=shift,
            fingerprint=fingerprint,
        )
        for part, own, painted, shift in halves
    ]  # fmt: skip
    return learned[0] if len(learned) == 1 else Composition(learned)
