"""Tasks from images without labels: what looks alike, and generated shapes laid over photos.

Each function takes the images of B tasks with V views, B x V x 3 x S x S in [0, 1], and gives
labels, B x V x S x S uint8: 0 background. What a label means is the task's own and the same in all
its views.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.synthetic.batched.counter_random import Draws

CLUSTERS = 6
_SAMPLE = 4
"""Every so manieth pixel, along both sides, decides a threshold."""


def color_clusters(draws: Draws, images: Tensor) -> Tensor:
    """Label each pixel with the nearest of some colors that the first view shows."""
    blurred = _box(images.flatten(0, 1), 5).unflatten(0, images.shape[:2])
    tasks, size = len(images), images.shape[-1]
    spots = draws.integers("spots", size * size, CLUSTERS)
    first = blurred[:, 0].flatten(2)
    seeds = first.gather(2, spots[:, None].expand(-1, 3, -1))  # B x 3 x CLUSTERS
    best = torch.full((tasks, images.shape[1], size, size), 9.0, device=images.device)
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for k in range(CLUSTERS):
        away = (blurred - seeds[:, None, :, k, None, None]).square().sum(2)
        labels = torch.where(away < best, k + 1, labels)
        best = torch.minimum(away, best)
    return labels.to(torch.uint8)


def appearance(draws: Draws, images: Tensor) -> Tensor:
    """Label what answers a simple filter most: thin dark or bright lines, blobs, busy texture.

    The tasks are shared evenly among the filters; a threshold belongs to a task.
    """
    kinds = 5
    mixing = draws.uniform("grey", 3) - torch.where(draws.chance("signed", 0.3), 0.5, 0.0)[:, None]
    gray = (images * mixing[:, None, :, None, None]).sum(2, keepdim=True)
    gray = gray * torch.where(draws.chance("dark", 0.6), -1.0, 1.0).view(-1, 1, 1, 1, 1)
    parts = []
    for kind, part in enumerate(gray.chunk(kinds)):
        flat = part.flatten(0, 1)
        if kind < 3:  # white top-hat: what is brighter than its surroundings and thinner than 2r+1
            answer = _box(flat, 3)
            answer = answer - _opened(answer, (2, 3, 5)[kind])
        elif kind == 3:
            answer = _box(_box(flat, 5), 5) - _box(_box(flat, 21), 21)
        else:
            answer = (_box(flat.square(), 7) - _box(flat, 7).square()).clamp(min=0).sqrt()
            answer = _box(answer, 5)
        parts.append(answer.unflatten(0, part.shape[:2])[:, :, 0])
    answers = torch.cat(parts)
    sampled = answers[..., ::_SAMPLE, ::_SAMPLE].flatten(1).sort(1).values
    share = draws.between("share", 0.04, 0.25)
    rank = ((1 - share) * (sampled.shape[1] - 1)).long()
    return (answers > sampled.gather(1, rank[:, None])[..., None, None]).to(torch.uint8)


def overlaid(draws: Draws, images: Tensor, labels: Tensor, most: int) -> Tensor:
    """Paint labeled shapes over images: each label in a color of its own, partly see-through.

    Args:
        draws: of the B tasks.
        images: B x V x 3 x S x S.
        labels: B x V x S x S uint8, of generated scenes.
        most: the highest label.

    Returns:
        Images alike.
    """
    mean = images.mean((1, 3, 4))
    soft = torch.where(draws.chance("soft", 0.5), 1.0, 0.0).view(-1, 1, 1, 1, 1)
    for label in range(1, most + 1):
        own = draws.fork("label", label)
        cover = (labels == label).float()[:, :, None]
        blurred = _box(cover.flatten(0, 1), 3).unflatten(0, cover.shape[:2])
        cover = torch.lerp(cover, blurred, soft)
        sign = torch.where(own.chance("dark", 0.5), -1.0, 1.0)[:, None]
        shift = sign * own.between("shift", 0.12, 0.6)[:, None] + 0.12 * own.normal("tint", 3)
        color = (mean + shift).clamp(0, 1)
        strength = own.between("strength", 0.4, 1.0).view(-1, 1, 1, 1, 1)
        images = torch.lerp(images, color[:, None, :, None, None], cover * strength)
    return images


def _box(images: Tensor, width: int) -> Tensor:
    return F.avg_pool2d(images, width, 1, width // 2, count_include_pad=False)


def _opened(images: Tensor, radius: int) -> Tensor:
    """Return the morphological opening by a square."""
    width = 2 * radius + 1
    eroded = -F.max_pool2d(-images, width, 1, radius)
    return F.max_pool2d(eroded, width, 1, radius)
