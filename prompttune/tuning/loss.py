"""What a prompt is tuned for."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.prompts.palette import Palette
from prompttune.utils.constants import IGNORE
from prompttune.utils.normalize import STD

Pool = Callable[[Tensor], Tensor]
"""Adds sums over a part of a batch to those over its other parts, which other devices have."""


def whole(sums: Tensor) -> Tensor:
    """Return the sums themselves: the batch is all here."""
    return sums


def tuning_loss(
    answer: Tensor,
    class_map: Tensor,
    palette: Palette,
    dice_weight: float,
    color_weight: float,
    beta: float,
    foreground_weight: float = 1.0,
    pool: Pool = whole,
) -> Tensor:
    """Return the paper's smooth-L1 on the colors plus a Dice term on the decoded soft mask.

    Smooth-L1 alone seeks the median color, so rare thin structures vanish; Dice does not.

    Args:
        answer: B x 3 x S x S, pixel space.
        class_map: B x S x S integers; 255 is left out.
        palette: Decodes the answer and paints the truth.
        beta: Of smooth-L1, in ImageNet-normalized units.
        foreground_weight: Of colored pixels in smooth-L1, where the background has 1.
        pool: Adds what other devices have of the batch; the loss is then the whole batch's.
    """
    weight = (class_map != IGNORE) * torch.where(class_map == 0, 1.0, foreground_weight)
    loss = answer.new_zeros(())
    if color_weight:
        spread = torch.tensor(STD, dtype=answer.dtype, device=answer.device).view(3, 1, 1)
        target = palette.paint(class_map)
        off = F.smooth_l1_loss(answer / spread, target / spread, beta=beta, reduction="none").mean(
            1
        )
        weighted, weights = pool(torch.stack([(off * weight).sum(), weight.sum()]))
        loss = loss + color_weight * weighted / weights.clamp_min(1)
    if dice_weight:
        loss = loss + dice_weight * dice_loss(palette.scores(answer), class_map, pool)
    return loss


def supervised_loss(logits: Tensor, class_map: Tensor) -> Tensor:
    """Return cross-entropy plus Dice, as nnU-Net and MONAI's tutorials have it.

    Args:
        logits: B x (C + 1) x S x S, the background first.
        class_map: B x S x S integers; 255 is left out.
    """
    logits = logits.float()
    loss = F.cross_entropy(logits, class_map, ignore_index=IGNORE)
    return loss.nan_to_num() + dice_loss(logits.softmax(1)[:, 1:], class_map)


def dice_loss(scores: Tensor, class_map: Tensor, pool: Pool = whole) -> Tensor:
    """Return 1 - soft Dice, pooled over the batch, averaged over the classes that it shows.

    Pooling makes crops without foreground count as background instead of as noise. A batch that
    shows no class asks for low scores: the loss is then their mean over the counted pixels.

    Args:
        scores: B x C x S x S.
        class_map: B x S x S integers; 255 is left out.
        pool: As in `tuning_loss`.
    """
    classes = scores.shape[1]
    valid = (class_map != IGNORE).unsqueeze(1)
    truth = torch.stack([class_map == index for index in range(1, classes + 1)], 1)
    scores = scores * valid
    overlap, found = (scores * truth).sum((0, 2, 3)), scores.sum((0, 2, 3))
    true, counted = truth.sum((0, 2, 3)).to(found), valid.sum().to(found).expand(classes)
    overlap, found, true, counted = pool(torch.stack([overlap, found, true, counted]))
    shown = true > 0
    if not shown.any():
        return found.sum() / counted[0].clamp_min(1)
    return (1 - 2 * overlap / (found + true).clamp_min(1e-6))[shown].mean()
