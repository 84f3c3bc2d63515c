"""What a prompt is tuned for."""

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.palette import IGNORE, Palette
from prompttune.pixels import STD


def tuning_loss(
    answer: Tensor,
    class_map: Tensor,
    palette: Palette,
    dice_weight: float,
    colour_weight: float,
    beta: float,
    foreground_weight: float = 1.0,
) -> Tensor:
    """Return the paper's smooth-L1 on the colours plus a Dice term on the decoded soft mask.

    Smooth-L1 alone seeks the median colour, so rare thin structures vanish; Dice does not.

    Args:
        answer: B x 3 x S x S, pixel space.
        class_map: B x S x S integers; 255 is left out.
        palette: Decodes the answer and paints the truth.
        beta: Of smooth-L1, in ImageNet-normalised units.
        foreground_weight: Of coloured pixels in smooth-L1, where the background has 1.
    """
    weight = (class_map != IGNORE) * torch.where(class_map == 0, 1.0, foreground_weight)
    loss = answer.new_zeros(())
    if colour_weight:
        spread = torch.tensor(STD, dtype=answer.dtype, device=answer.device).view(3, 1, 1)
        target = palette.paint(class_map)
        off = F.smooth_l1_loss(answer / spread, target / spread, beta=beta, reduction="none").mean(
            1
        )
        loss = loss + colour_weight * (off * weight).sum() / weight.sum().clamp_min(1)
    if dice_weight:
        loss = loss + dice_weight * dice_loss(palette.scores(answer), class_map)
    return loss


def dice_loss(scores: Tensor, class_map: Tensor) -> Tensor:
    """Return 1 - soft Dice, pooled over the batch, averaged over the classes that it shows.

    Pooling makes crops without foreground count as background instead of as noise.
    """
    classes = scores.shape[1]
    valid = (class_map != IGNORE).unsqueeze(1)
    truth = torch.stack([class_map == index for index in range(1, classes + 1)], 1)
    scores = scores * valid
    overlap = (scores * truth).sum((0, 2, 3))
    total = scores.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    shown = truth.any(3).any(2).any(0)
    if not shown.any():
        return scores.sum() / valid.sum().clamp_min(1)
    return (1 - 2 * overlap / total.clamp_min(1e-6))[shown].mean()
