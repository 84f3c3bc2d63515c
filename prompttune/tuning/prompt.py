"""The learnable prompt: plain torch, no trainer."""

import torch
from torch import Tensor, nn

from prompttune.backbone import SegGPT
from prompttune.palette import Palette
from prompttune.pixels import denormalise, normalise
from prompttune.prompt import Prompt


class LearnablePrompt(nn.Module):
    """A prompt whose pixels are parameters (paper, section 3.4: in-context tuning).

    `images` and `colours` are N x 3 x S x S in pixel space. The palette that decodes an answer is
    fixed; learned colours need not equal it.
    """

    def __init__(self, start: Prompt, canvas: int, learn: str, bounded: bool) -> None:
        super().__init__()
        images, colours = start.at(canvas)
        self.images = nn.Parameter(images.clone(), requires_grad=learn in ("both", "image"))
        self.colours = nn.Parameter(colours.clone(), requires_grad=learn in ("both", "colours"))
        self.palette: Palette = start.palette
        self.seg_type = start.seg_type
        self.bounded = bounded

    def forward(self, network: SegGPT, queries: Tensor) -> Tensor:
        """Colour queries, B x 3 x S x S in pixel space; so is the answer."""
        answer = network.ensemble(
            normalise(queries), normalise(self.images), normalise(self.colours), self.seg_type
        )
        return denormalise(answer.float())

    @torch.no_grad()
    def project(self) -> None:
        """Bring pixels back to [0, 1] after a step: a clamp in the forward would kill gradients."""
        if self.bounded:
            for pixels in self.parameters():
                pixels.clamp_(0, 1)
