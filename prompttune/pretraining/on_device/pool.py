"""A pool of labeled images on the device that trains, and views of them, made in batches.

The batched counterpart of `contexts` and `warps`: which images, where in them and how they are
turned, scaled and bent are all drawn from a sample's keys.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.pretraining.sources.pool import IGNORE, ImageSet
from prompttune.synthetic.batched.counter_random import Draws

CLOSEST, WIDEST = 0.35, 1.0
"""Sides of the views, in short sides of their images."""
_TRUE_PIXELS = 0.35
"""Of a view's side: how far its middle stays inside the image, beyond which that is mirrored."""


@dataclass(frozen=True)
class Places:
    """Where the V views of B tasks lie."""

    image: Tensor
    """B x V int64, numbers of images."""
    center: Tensor
    """B x V x 2 float32, column and row."""
    value: Tensor
    """B int64, the class in common, 0 where none is asked for."""


class DevicePool:
    """All images of some sets, flat, with the contexts that they share.

    `has_contexts` says whether there are any: without, `contexts` has nothing to draw.
    """

    def __init__(self, sets: Sequence[ImageSet], device: torch.device | str) -> None:
        sets = [one for one in sets if one.images]
        images = [image for one in sets for image in one.images]
        shapes = torch.tensor([image.classes.class_map.shape for image in images])
        self.sizes = shapes.to(device)
        ends = shapes.prod(1).cumsum(0)
        self.starts = (ends - shapes.prod(1)).to(device)
        self.pixels = _flat([image.images[0].reshape(-1, 3) for image in images], device)
        self.labels = _flat([image.classes.class_map.reshape(-1) for image in images], device)
        weights = torch.tensor([one.weight for one in sets], dtype=torch.float64)
        shares = weights / weights.sum()
        counts = torch.tensor([len(one.images) for one in sets])
        self._sets = shares.cumsum(0).float().to(device)
        self._set_counts = counts.to(device)
        self._set_starts = (counts.cumsum(0) - counts).to(device)
        self._read_contexts(sets, shares, device)

    def _read_contexts(
        self, sets: Sequence[ImageSet], shares: Tensor, device: torch.device | str
    ) -> None:
        values, counts, odds, shown, anchors = [], [], [], [], []
        first = 0
        for one, share in zip(sets, shares.tolist(), strict=True):
            for value, who in one.contexts:
                values.append(value)
                counts.append(len(who))
                odds.append(share / len(one.contexts))
                shown += [first + number for number in who]
                anchors += [one.images[number].classes.anchors[value] for number in who]
            first += len(one.images)
        self.has_contexts = bool(values)
        if not values:
            return
        number = torch.tensor(counts)
        chances = torch.tensor(odds, dtype=torch.float64)
        self._contexts = (chances / chances.sum()).cumsum(0).float().to(device)
        self._values = torch.tensor(values).to(device)
        self._counts = number.to(device)
        self._first = (number.cumsum(0) - number).to(device)
        self._shown = torch.tensor(shown).to(device)
        self._anchors = torch.from_numpy(np.stack(anchors).astype(np.int16)).to(device)

    def contexts(self, draws: Draws, views: int, same_image: float) -> Places:
        """Draw a class and images that show it; with the share `same_image` one image alone."""
        context = _choose(self._contexts, draws.uniform("context"))
        member = _members(draws, self._counts[context], views, same_image)
        entry = self._first[context][:, None] + member
        anchor = draws.integers("anchor", self._anchors.shape[1], views)
        center = self._anchors[entry, anchor].float()
        return Places(self._shown[entry], center, self._values[context])

    def images(self, draws: Draws, views: int, same_image: float) -> Places:
        """Draw images of one set, whatever they show; with the share `same_image` one alone."""
        chosen = _choose(self._sets, draws.uniform("set"))
        member = _members(draws, self._set_counts[chosen], views, same_image)
        image = self._set_starts[chosen][:, None] + member
        size = self.sizes[image].flip(-1).float()
        return Places(image, draws.uniform("centre", views, 2) * size, torch.zeros_like(chosen))

    def view(self, draws: Draws, places: Places, size: int) -> tuple[Tensor, Tensor]:
        """Cut the views: images, B V x 3 x S x S float32 in [0, 1], and labels, B V x S x S uint8.

        Labels are the pool's values: 0 background, 255 ignored.
        """
        at = self._warp(draws, places, size)
        image = places.image.flatten()
        shape = self.sizes[image].flip(-1)[:, None, None]  # columns, rows
        start, columns = self.starts[image][:, None, None], shape[..., 0]
        near = _mirrored(at.round(), shape)
        labels = self.labels[start + near[..., 1] * columns + near[..., 0]]
        low = at.floor()
        part = (at - low).to(torch.float16)[..., None, :]
        x0, y0 = _mirrored(low, shape).unbind(-1)
        x1, y1 = _mirrored(low + 1, shape).unbind(-1)
        upper, lower = (
            torch.lerp(
                self.pixels[start + y * columns + x0].half(),
                self.pixels[start + y * columns + x1].half(),
                part[..., 0],
            )
            for y in (y0, y1)
        )
        pixels = torch.lerp(upper, lower, part[..., 1])
        return pixels.permute(0, 3, 1, 2).float() / 255, labels

    def _warp(self, draws: Draws, places: Places, size: int) -> Tensor:
        """Return the place in its image of every pixel of every view, B V x S x S x 2."""
        views = places.image.shape[1]
        short = self.sizes[places.image].amin(-1).float()
        shared = draws.between("extent", CLOSEST, WIDEST)[:, None]
        shared = shared * (0.15 * draws.normal("extents", views)).exp()
        own = draws.between("own extent", CLOSEST, WIDEST, views)
        alike = draws.chance("alike", 0.7)[:, None]
        extent = torch.where(alike, shared, own).clamp(0.3, 1.1) * short
        middle = places.center + extent[..., None] * draws.between("off", -0.35, 0.35, views, 2)
        margin = _TRUE_PIXELS * extent[..., None]
        size_here = self.sizes[places.image].flip(-1).float()
        middle = torch.minimum(torch.maximum(middle, margin), size_here - margin)
        turn = _turns(draws, views) * (extent / size)[..., None, None]
        grid = torch.arange(size, device=turn.device) - (size - 1) / 2
        plane = torch.stack((grid.expand(size, -1), grid[:, None].expand(-1, size)), -1)
        offset = plane + _bend(draws, views, size)
        return torch.einsum("nij,nhwj->nhwi", turn.flatten(0, 1), offset) + middle.view(-1, 1, 1, 2)


def _flat(parts: list[np.ndarray], device: torch.device | str) -> Tensor:
    return torch.from_numpy(np.concatenate(parts)).to(device)


def _choose(cumulated: Tensor, uniform: Tensor) -> Tensor:
    return torch.searchsorted(cumulated, uniform).clamp(max=len(cumulated) - 1)


def _members(draws: Draws, counts: Tensor, views: int, same: float) -> Tensor:
    """Draw V of `counts` (B) things for each task, B x V: all different where there are enough."""
    first = (draws.uniform("first") * counts).long()
    step = 1 + (draws.uniform("step") * (counts // views).clamp(min=1)).long()
    several = torch.where(draws.chance("same image", same), 0, step)
    at = torch.arange(views, device=counts.device)
    return (first[:, None] + several[:, None] * at) % counts[:, None]


def _turns(draws: Draws, views: int) -> Tensor:
    """Draw turned, mirrored, stretched and sheared frames of area one: B x V x 2 x 2."""
    spread = torch.where(draws.chance("any turn", 0.3), math.pi, 0.3)[:, None]
    angle = spread * draws.between("turns", -1, 1, views)
    mirror = torch.where(draws.uniform("mirror", views) < 0.5, -1.0, 1.0)
    stretch = (0.1 * draws.normal("stretch", views)).exp()
    shear = 0.1 * draws.normal("shear", views)
    cosine, sine = angle.cos(), angle.sin()
    rows = (
        torch.stack((cosine * mirror * stretch, cosine * mirror * shear - sine / stretch), -1),
        torch.stack((sine * mirror * stretch, sine * mirror * shear + cosine / stretch), -1),
    )
    return torch.stack(rows, -2)


def _bend(draws: Draws, views: int, size: int) -> Tensor:
    """Draw smooth displacements in pixels of the view, mostly none: B V x S x S x 2."""
    cells = 4
    strength = (draws.uniform("bend", views) - 0.8).clamp(min=0) * (0.3 * size)
    noise = draws.normal("bends", views, 2, cells, cells) * strength[..., None, None, None]
    smooth = F.interpolate(noise.flatten(0, 1), (size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def _mirrored(at: Tensor, shape: Tensor) -> Tensor:
    """Bring pixel coordinates back into the image by mirroring at its border; int64."""
    at = at.long() % (2 * shape)
    return torch.minimum(at, 2 * shape - 1 - at)


__all__ = ["IGNORE", "DevicePool", "Places"]
