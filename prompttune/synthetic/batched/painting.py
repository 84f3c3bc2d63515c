"""From the layers of generated tasks to images: textures, soft edges, light and noise."""

import math

import torch
from torch import Tensor

from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.fields import Items, smooth_noise, waves
from prompttune.synthetic.batched.layering import LAYERS, Layers, Plan

CANDIDATES = 12


def first_apart(candidates: Tensor, earlier: list[Tensor], least: Tensor) -> Tensor:
    """Take of N x K x 3 colors the first that differs from all `earlier` (N x 3) by `least` (N).

    Differences are those of the channel that differs most. Where there is none: the one that
    differs most.
    """
    apart = torch.stack([(candidates - one[:, None]).abs().amax(2) for one in earlier]).amin(0)
    place = torch.arange(candidates.shape[1], device=candidates.device)
    score = torch.where(apart > least[:, None], 1e3 - place, apart)
    return candidates[torch.arange(len(score), device=score.device), score.argmax(1)]


def _looks(task: Draws, hard: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the looks of background and layers: base and tint, each N x (1 + LAYERS) x 4.

    The fourth channel is the strength of the grain. Third: N x (1 + LAYERS) int64, whose pattern a
    layer has. A hard task may have layers that only pattern or only shape tell apart.
    """
    colors, tints = [task.uniform("background", 3)], []
    patterns = [torch.zeros_like(task.keys)]
    grains = [task.choice("grain", (0.0, 0.02, 0.05, 0.1))]
    strength = task.choice("tint", (0.03, 0.1, 0.25))
    busy = strength > 0.15
    tints.append(task.normal("tints", 3) * strength[:, None])
    for k in range(1, LAYERS + 1):
        draws = task.fork("look", k)
        kind = torch.where(hard, draws.uniform("kind"), 1.0)
        as_background, as_below = kind < 0.15, (kind < 0.3) & (kind >= 0.15) & (k > 1)
        least = torch.where(hard, draws.choice("least", (0.12, 0.3, 0.5)), 0.45)
        least = torch.where(busy, least.clamp(min=0.3), least)  # faint in a strong pattern: lost
        color = first_apart(draws.uniform("colours", CANDIDATES, 3), colors, least)
        strength = draws.choice("tint", (0.03, 0.1, 0.25))
        differing = torch.where(busy, 0.03, 0.3)
        strength = torch.where(as_background, differing, strength)
        tint = draws.normal("tints", 3) * strength[:, None]
        own = torch.full_like(patterns[0], k)
        grain = draws.choice("grain", (0.0, 0.02, 0.05, 0.1))
        color = torch.where(as_background[:, None], colors[0], color)
        colors.append(torch.where(as_below[:, None], colors[-1], color))
        tints.append(torch.where(as_below[:, None], tints[-1], tint))
        patterns.append(torch.where(as_below, patterns[-1], own))
        grains.append(torch.where(as_below, grains[-1], grain))
    base = torch.cat((torch.stack(colors, 1), torch.stack(grains, 1)[..., None]), 2)
    tint = torch.nn.functional.pad(torch.stack(tints, 1), (0, 1))
    return base, tint, torch.stack(patterns, 1)


def pattern(items: Items) -> Tensor:
    """Return a texture's pattern, N x S x S, of variance about one.

    Blotches, one-way or crossed lines, of one or many scales, smooth or hard.
    """
    count = 10
    cycles = torch.exp2(items.task.between("cycles", 1, math.log2(items.size / 5)))
    spread = items.task.choice("spread", (math.pi, math.pi, 0.08, 0.5))[:, None]
    broad = items.task.choice("broad", (0.3, 0.3, 2.5))[:, None]
    angle = items.task.between("angle", 0, math.pi)[:, None]
    angle = angle + spread * items.scene.between("pattern angles", -1, 1, count)
    odd = torch.arange(count, device=angle.device) % 2 == 1
    crossed = odd & items.task.chance("cross", 0.3)[:, None]
    angle = angle + crossed * (math.pi / 2)
    length = cycles[:, None] * torch.exp2(-broad * items.scene.uniform("pattern lengths", count))
    phases = items.scene.between("pattern phases", 0, 2 * math.pi, count)
    field = waves(items, torch.stack((angle.cos(), angle.sin()), 2) * length[..., None], phases)
    steep = items.task.choice("steep", (1, 1, 2.5, 8))[:, None, None]
    return field.mul_(steep).clamp_(-1.6, 1.6)


def paint(plan: Plan, layers: Layers, pixels: int) -> tuple[Tensor, Tensor]:
    """Paint the layers above each other.

    Returns images, V B x 3 x S x S float32 in [0, 1], and labels, V B x S x S uint8: 0, a kind's
    number, or in instance samples a shape's; at most `pixels` at a time.
    """
    device, size = layers.level.device, layers.items.size
    images = layers.level.shape[1]
    hard = plan.hard.to(device, non_blocking=True).repeat_interleave(plan.views)
    instance = plan.instance.to(device, non_blocking=True).repeat_interleave(plan.views)
    label = plan.label.to(device, torch.uint8, non_blocking=True).repeat_interleave(plan.views, 0)
    painted = torch.empty(images, 3, size, size, device=device)
    labels = torch.zeros(images, size, size, dtype=torch.uint8, device=device)
    depth = plan.layers.repeat_interleave(plan.views)
    whole = Items(*_first(layers.items, slice(images)), size)
    looks = _looks(whole.task, hard)
    at_once = max(2, pixels // size**2)
    for start in range(0, images, at_once):
        some = slice(start, min(start + at_once, images))
        items = Items(*_first(layers.items, some), size)
        canvas = _Canvas(items, hard[some], [look[some] for look in looks])
        for k in range(int(depth[start])):
            there = int((depth[some] > k).sum())  # deepest first: a prefix
            level = layers.level[k, some][:there]
            canvas.add(k + 1, level)
            number = label[some, k, None, None][:there]
            shape = layers.which[k, some][:there]
            shown = torch.where(instance[some, None, None][:there] & (number > 0), shape, number)
            below = labels[some][:there]
            labels[start : start + there] = torch.where(level > 0, shown, below)
        painted[some] = canvas.finished()
    return painted, labels


def _first(items: Items, some: slice) -> tuple[Draws, Draws, Draws]:
    """Return draws for whole images, from those of their first layer."""
    return (
        Draws(items.task.keys[some]).fork("painting"),
        Draws(items.scene.keys[some]).fork("painting"),
        Draws(items.view.keys[some]),
    )


class _Canvas:
    """Images under way, N x 4 x S x S: three colors and the strength of the grain."""

    def __init__(self, items: Items, hard: Tensor, looks: list[Tensor]) -> None:
        self.items, self.hard = items, hard
        self.base, self.tint, self.patterns = looks
        soft = torch.where(hard, items.task.choice("soft", (1.0, 1.0, 1.8, 3.0)), 1.0)
        self.sharpness = (items.size / soft)[:, None, None]
        self.pixels = self._texture(0, len(hard))

    def _texture(self, k: int, count: int) -> Tensor:
        number = self.patterns[:count, k]
        items = Items(
            Draws(self.items.task.keys[:count]).fork("pattern", number),
            Draws(self.items.scene.keys[:count]).fork("pattern", number),
            Draws(self.items.view.keys[:count]),
            self.items.size,
        )
        base, tint = self.base[:count, k, :, None, None], self.tint[:count, k, :, None, None]
        return torch.addcmul(base, tint, pattern(items)[:, None])

    def add(self, k: int, level: Tensor) -> None:
        """Paint layer `k` over the first images, as many as `level` has."""
        count = len(level)
        cover = (level * self.sharpness[:count]).add_(0.5).clamp_(0, 1)
        thin = self.items.task.fork("thin", k).choice("cover", (1.0, 1.0, 0.65))
        cover *= torch.where(self.hard, thin, 1.0)[:count, None, None]
        self.pixels[:count].lerp_(self._texture(k, count), cover[:, None])

    def finished(self) -> Tensor:
        """Add light and grain: N x 3 x S x S in [0, 1]."""
        items = self.items
        image, grain = self.pixels[:, :3], self.pixels[:, 3:]
        noise = items.view.noise("grain", 1, items.size, items.size)
        image = image.addcmul(grain, noise)
        shade = torch.where(self.hard, items.task.choice("shade", (0.0, 0.1, 0.3)), 0.0)
        light = smooth_noise(items, "light", torch.full_like(shade, 0.8), 6)
        image *= (1 + shade[:, None, None] * light)[:, None]
        return image.clamp_(0, 1)
