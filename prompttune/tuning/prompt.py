"""The learnable prompt: plain torch, no trainer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prompttune.backbone import SegGPT
from prompttune.palette import Palette
from prompttune.pixels import denormalise, normalise
from prompttune.prompt import Prompt


class LearnablePrompt(nn.Module):
    """A prompt whose pixels are parameters (paper, section 3.4: in-context tuning).

    `images` and `colours` are N x 3 x S x S in pixel space. The palette that decodes an answer is
    fixed; learned colours need not equal it. In train mode noise of deviation `jitter` is added and
    a share `dropout` of the values is dropped, so that a prompt does not hang on single pixels.
    """

    def __init__(
        self,
        start: Prompt,
        canvas: int,
        learn: str,
        bounded: bool,
        jitter: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        images, colours = start.at(canvas)
        self.images = nn.Parameter(images.clone(), requires_grad=learn in ("both", "image"))
        self.colours = nn.Parameter(colours.clone(), requires_grad=learn in ("both", "colours"))
        self.palette: Palette = start.palette
        self.seg_type = start.seg_type
        self.bounded = bounded
        self.jitter, self.dropout = jitter, dropout

    def forward(self, network: SegGPT, queries: Tensor) -> Tensor:
        """Colour queries, B x 3 x S x S in pixel space; so is the answer."""
        images, colours = (self._disturbed(normalise(x)) for x in (self.images, self.colours))
        answer = network.ensemble(normalise(queries), images, colours, self.seg_type)
        return denormalise(answer.float())

    def _disturbed(self, values: Tensor) -> Tensor:
        if self.training and self.jitter:
            values = values + self.jitter * torch.randn_like(values)
        return F.dropout(values, self.dropout, self.training and self.dropout > 0)

    @torch.no_grad()
    def project(self) -> None:
        """Bring pixels back to [0, 1] after a step: a clamp in the forward would kill gradients."""
        if self.bounded:
            for pixels in self.parameters():
                pixels.clamp_(0, 1)
