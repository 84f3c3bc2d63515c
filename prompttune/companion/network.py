"""The companion while it is learned: each convolution with a batch normalization behind it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from prompttune.companion.companion import Companion, down_and_up, standardize
from prompttune.companion.shapes import convolutions

WIDTHS = (16, 32, 64, 96)
"""386,000 weights: 770 kB in half precision, so that a key stays below a megabyte."""


class CompanionNetwork(nn.Module):
    """A U-Net (Ronneberger et al., arXiv 1505.04597), normalized pixels to logits.

    Args:
        classes: of the key, without the background.
        widths: channels of each level, the finest first.
        standardized: whether it sees each window without its own light (`standardize`).
    """

    def __init__(
        self, classes: int, widths: Sequence[int] = WIDTHS, standardized: bool = True
    ) -> None:
        super().__init__()
        self.widths, self.classes, self.standardized = tuple(widths), classes, standardized
        *inner, (_, (out, into, side)) = convolutions(widths, classes)
        self.inner = nn.ModuleList(_Layer(*shape) for _, shape in inner)
        self.out = nn.Conv2d(into, out, side)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, queries: Tensor) -> Tensor:
        """Map normalized pixels, `B x 3 x H x W`, to logits, `B x (C + 1) x H x W`."""
        seen = standardize(queries) if self.standardized else queries
        logits: Tensor = self.out(down_and_up(seen, len(self.widths), self.inner))
        return logits

    @torch.no_grad()
    def folded(self, share: float) -> Companion:
        """Return what a key keeps: the convolutions, each with its normalization folded in.

        Weights are rounded to half precision, as the key's file holds them.

        Args:
            share: what the companion counts.
        """
        fused = [layer.folded() for layer in self.inner if isinstance(layer, _Layer)]
        tensors = [part for conv in (*fused, self.out) for part in conv.parameters()]
        parts = [part.detach().flatten() for part in tensors]
        weights = torch.cat(parts).cpu().half().float()
        return Companion(weights, self.widths, self.classes, share, self.standardized)


class _Layer(nn.Module):
    """A convolution, its normalization, and SiLU."""

    def __init__(self, out: int, into: int, side: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, out, side, padding=side // 2, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.convolution(x)))

    def folded(self) -> nn.Conv2d:
        """Return one convolution that does what both do in eval mode."""
        return fuse_conv_bn_eval(self.convolution.eval(), self.norm.eval())
