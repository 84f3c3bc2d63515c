"""Batches of tasks with several images each, from a pool and generated, made on the device.

A task is V images that share a context; a training step takes the first ones as prompts and the
others as queries, so that a prompt, which a one-way network encodes once, serves several of them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import unlabeled
from prompttune.pretraining.on_device.coloring import CLASSES, palettes, recolor
from prompttune.pretraining.on_device.pool import IGNORE, DevicePool
from prompttune.pretraining.on_device.scenes import SceneBank
from prompttune.pretraining.sources.pool import ImageSet
from prompttune.synthetic.batched.counter_random import Draws

VALUES = 256
MIN_SHARE = 1 / 400
"""Of the first view: a class of fewer pixels does not show what it is."""


class ContextTasks:
    """Makes the tasks of a step; task i depends on `(seed, i)` and its place in the batch alone."""

    def __init__(
        self,
        sets: Sequence[ImageSet],
        canvas: int,
        mix: Mix,
        seed: int,
        views: int,
        scenes: int,
        device: torch.device | str,
    ) -> None:
        self.canvas, self.mix, self.seed, self.views = canvas, mix, seed, views
        self.device = torch.device(device)
        self.pool = DevicePool(sets, device) if any(one.images for one in sets) else None
        self.scenes = SceneBank(scenes, canvas, mix, seed, views, self.device)

    @torch.no_grad()
    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Make tasks `indices` (B int64, on the host).

        Returns, on the device: images and targets, B x V x 3 x S x S float32 in [0, 1]; weight,
        B x V x 1 x S x S float32, 0 where nothing is asked; seg_type, B int64.
        """
        with torch.autocast(self.device.type, enabled=False):
            return self._batch(Draws.of(self.seed, indices))

    def _batch(self, draws: Draws) -> dict[str, Tensor]:
        parts = [self._part(kind, some) for kind, some in self._shared_out(draws) if len(some.keys)]
        images, labels, values, instance = (torch.cat(same) for same in zip(*parts, strict=True))
        mine = draws.to(self.device)
        images = recolor(draws, images.flatten(0, 1)).view(images.shape)
        index, palette = self._chosen(mine, labels, values, instance)
        targets = _painted(index, palette)
        return {
            "images": images,
            "targets": targets,
            "weight": _weights(index, self.mix.foreground)[:, :, None],
            "seg_type": instance.long(),
        }

    def _shared_out(self, draws: Draws) -> list[tuple[str, Draws]]:
        """Share a batch out among the kinds of tasks, in the proportions of the mix."""
        mix, count = self.mix, len(draws.keys)
        if self.pool is None:
            return [("generated", draws)]
        real = 1 - mix.generated
        rest = "labeled" if self.pool.has_contexts else "clusters"
        shares = {
            "generated": mix.generated,
            "overlaid": real * mix.overlaid,
            "appearance": real * mix.appearance,
            "clusters": real * mix.unlabeled,
        }
        found, start, total = [], 0, 0.0
        for kind, share in shares.items():
            total += share
            end = round(total * count)
            found.append((kind, Draws(draws.keys[start:end])))
            start = end
        return [*found, (rest, Draws(draws.keys[start:]))]

    def _part(self, kind: str, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Make tasks of one kind: images, labels, the value in common (0: any), instance."""
        mine = draws.to(self.device)
        if kind == "generated":
            images, labels, instance = self.scenes.drawn(mine)
            return images, labels, torch.zeros_like(mine.keys), instance
        assert self.pool is not None
        views, size = self.views, self.canvas
        if kind == "labeled":
            places = self.pool.contexts(mine, views, self.mix.same_image)
        else:
            places = self.pool.images(mine, views, 0.4)
        pixels, labels = self.pool.view(mine, places, size)
        images, labels = (x.unflatten(0, (-1, views)) for x in (pixels, labels))
        if kind == "labeled":
            labels = self._contours(mine, labels, places.value)
        elif kind == "clusters":
            labels = unlabeled.color_clusters(mine, images)
        elif kind == "appearance":
            labels = unlabeled.appearance(mine, images)
        else:
            _, labels, _ = self.scenes.drawn(mine)
            images = unlabeled.overlaid(mine, images, labels, most=CLASSES)
        return images, labels, places.value, torch.zeros_like(places.value, dtype=torch.bool)

    def _contours(self, draws: Draws, labels: Tensor, value: Tensor) -> Tensor:
        """Ask, in a share of the tasks, for the edges of the class in common instead of it."""
        asked = draws.chance("contours", self.mix.contours)
        inside = (labels == value[:, None, None, None]).float()
        edge = F.max_pool2d(inside, 3, 1, 1) + F.max_pool2d(-inside, 3, 1, 1)
        edge = F.max_pool2d(edge, 3, 1, 1) > 0.5
        marked = torch.where(edge, value[:, None, None, None], 0).to(torch.uint8)
        marked = torch.where(labels == IGNORE, labels, marked)
        return torch.where(asked[:, None, None, None], marked, labels)

    def _chosen(
        self, draws: Draws, labels: Tensor, value: Tensor, instance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Choose classes that the first view shows; the one in common is always among them.

        Returns:
            Which of the chosen each pixel is, B x V x S x S int64 (0 none, CLASSES + 1 ignored),
            and their colors, B x (1 + CLASSES) x 3 in [0, 1], black first.
        """
        tasks = len(labels)
        first = labels[:, 0, ::2, ::2].flatten(1).long()
        rows = torch.arange(tasks, device=first.device)[:, None] * VALUES
        seen = (first + rows).flatten()
        counts = torch.zeros(tasks * VALUES, device=seen.device)
        counts.scatter_add_(0, seen, torch.ones_like(seen, dtype=torch.float32))
        shown = counts.view(tasks, VALUES) > MIN_SHARE * first.shape[1]
        shown[:, [0, IGNORE]] = False
        preference = draws.uniform("chosen", VALUES)
        preference.scatter_(1, value[:, None], 2.0)
        preference = torch.where(shown, preference, -1.0)
        most = 1 + (self.mix.max_classes * draws.uniform("kept").square()).long()
        most = torch.where(instance, self.mix.max_classes, most)
        best, chosen = preference.topk(CLASSES, 1)
        place = torch.arange(1, CLASSES + 1, device=first.device).expand(tasks, -1)
        kept = (best >= 0) & (place <= most[:, None])
        table = torch.zeros(tasks, VALUES, dtype=torch.int64, device=first.device)
        table.scatter_(1, chosen, torch.where(kept, place, 0))
        table[:, 0], table[:, IGNORE] = 0, CLASSES + 1
        index = table.gather(1, labels.flatten(1).long()).view(labels.shape)
        return index, palettes(draws, kept.sum(1))


def _painted(index: Tensor, palette: Tensor) -> Tensor:
    """Paint what `_chosen` has chosen: B x V x 3 x S x S; what is ignored is black."""
    table = F.pad(palette, (0, 0, 0, 1))  # the ignored
    flat = index.flatten(1)[..., None].expand(-1, -1, 3)
    return table.gather(1, flat).view(*index.shape, 3).movedim(-1, 2)


def _weights(index: Tensor, foreground: float) -> Tensor:
    """Weigh the pixels of each view so that colored ones have at least the share `foreground`.

    The boost is at most tenfold: a handful of pixels must not be the whole loss.
    """
    valid = index <= CLASSES
    colored = valid & (index > 0)
    share = colored.sum((2, 3)) / valid.sum((2, 3)).clamp(min=1)
    boost = foreground * (1 - share) / (share * (1 - foreground)).clamp(min=1e-6)
    few = (share > 0) & (share < foreground)
    boost = torch.where(few, boost.clamp(max=10.0), 1.0)[..., None, None]
    return torch.where(colored, boost, 1.0) * valid
