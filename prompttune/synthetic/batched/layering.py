"""Generated tasks as layers: the plan of a batch, and the fields of all its layers.

What decides sizes (how many layers, which family draws which) is drawn on the host, so that nothing
waits for the device; all else is drawn where the pixels are. Both draw from the same keys.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from prompttune.synthetic.batched.closed_families import CLOSED, scatter
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.fields import Items, noise_waves, waves_and_slope
from prompttune.synthetic.batched.spread_families import SOLID, SPREAD, stripes

LAYERS = 5
KINDS = 3  # labeled kinds in a task at most
PLAIN, CONTOUR, HOLED, HATCHED = range(4)
WHOLE, CORE, PIECE, RIM = range(4)  # a layer of its own, or a part of the one below

_COUNT = len(CLOSED) + len(SPREAD)
_WIDE = torch.tensor([True] * len(CLOSED) + [family in SOLID for family in SPREAD])


class Shares(Protocol):
    """How often scenes are of which kind, as the recipe of a training says."""

    @property
    def hard(self) -> float:
        """Of scenes with distractors, faint contrasts and soft edges, in [0, 1]."""

    @property
    def instances(self) -> float:
        """Of scenes in which each shape is a class of its own, in [0, 1]."""


@dataclass(frozen=True)
class Plan:
    """What B samples consist of; host tensors, samples with most layers first."""

    draws: Draws
    order: Tensor
    """B int64: which sample of the batch each row is."""
    layers: Tensor
    """B int64, 1 ... LAYERS."""
    hard: Tensor
    instance: Tensor
    """B bool both; in an instance sample each shape of the labeled kind is its own class."""
    label: Tensor
    """B x LAYERS int64: 1 ... KINDS, or 0 for a distractor."""
    family: Tensor
    """B x LAYERS int64, place in CLOSED + SPREAD; -1 where no field of its own is needed."""
    change: Tensor
    """B x LAYERS int64: PLAIN, CONTOUR, HOLED or HATCHED."""
    part: Tensor
    """B x LAYERS int64: WHOLE, CORE, PIECE or RIM."""
    views: int = field(default=2, kw_only=True)
    """V, images of a sample; those of sample b are V b ... V b + V - 1, a prompt first."""

    @classmethod
    def draw(cls, draws: Draws, mix: Shares, views: int = 2) -> "Plan":
        """Plan the samples of `draws` (host keys)."""
        hard, instance = draws.chance("hard", mix.hard), draws.chance("instance", mix.instances)
        kinds = torch.where(instance, 1, draws.choice("kinds", (1, 1, 1, 2, 3)).long())
        others = torch.where(hard, draws.integers("distractors", 3), 0)
        layers = kinds + others
        slot = torch.arange(LAYERS)
        rank = torch.where(slot < layers[:, None], draws.uniform("labels", LAYERS), 2.0)
        rank = rank.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
        label = torch.where(rank < kinds[:, None], rank + 1, 0)
        family = draws.integers("family", _COUNT, LAYERS)
        closed = draws.integers("closed family", len(CLOSED), LAYERS)
        family = torch.where(instance[:, None] & (label > 0), closed, family)
        part = _draw_parts(draws, family, instance)
        change = _draw_changes(draws, family, part, instance)
        family = torch.where((part == CORE) | (part == RIM), -1, family)
        family = torch.where(slot < layers[:, None], family, -1)
        order = layers.argsort(descending=True, stable=True)
        return cls(
            draws.rows(order), order, layers[order], hard[order], instance[order], label[order],
            family[order], change[order], part[order], views=views,
        )  # fmt: skip


def _draw_parts(draws: Draws, family: Tensor, instance: Tensor) -> Tensor:
    """Make some layers parts of the one below, if that is wide enough to have any."""
    kind = draws.uniform("part", LAYERS)
    part = torch.where(kind < 0.3, PIECE, WHOLE)
    part = torch.where(kind < 0.2, RIM, part)
    part = torch.where(kind < 0.15, CORE, part)
    below = torch.cat((torch.zeros_like(_WIDE[family[:, :1]]), _WIDE[family[:, :-1]]), 1)
    whole_below = torch.cat((part[:, :1], part[:, :-1]), 1) == WHOLE
    return torch.where(below & whole_below & ~instance[:, None], part, WHOLE)


def _draw_changes(draws: Draws, family: Tensor, part: Tensor, instance: Tensor) -> Tensor:
    kind = draws.uniform("change", LAYERS)
    parent = torch.cat((part[:, 1:] != WHOLE, torch.zeros_like(part[:, :1], dtype=torch.bool)), 1)
    change = torch.where(kind < 0.34, HATCHED, PLAIN)
    change = torch.where(kind < 0.28, HOLED, change)
    change = torch.where(kind < 0.2, CONTOUR, change)
    return torch.where(_WIDE[family] & ~parent & ~instance[:, None], change, PLAIN)


@dataclass(frozen=True)
class Layers:
    """Fields of the layers of V B images, see `Plan.views`."""

    items: Items
    """LAYERS x V B items, slot after slot."""
    level: Tensor
    """LAYERS x V B x S x S float32, positive inside."""
    which: Tensor
    """LAYERS x V B x S x S uint8: which of a closed family's shapes is nearest, from 1."""


def draw_layers(plan: Plan, device: torch.device, size: int, pixels: int) -> Layers:
    """Draw the fields of all layers, those of one family together, at most `pixels` at a time."""
    images = plan.views * len(plan.layers)
    items = all_items(plan, device, size)
    level = torch.full((LAYERS * images, size, size), -1.0, device=device)
    which = torch.zeros(level.shape, dtype=torch.uint8, device=device)
    at_once = max(2, pixels // size**2)
    for family, rows in _grouped(plan.family, device, plan.views):
        for some in rows.split(at_once):
            chosen = items.rows(some)
            if family < len(CLOSED):
                stamps = scatter(chosen)
                level[some] = CLOSED[family](chosen, stamps)
                which[some] = (stamps.index + 1).to(torch.uint8)
            else:
                level[some] = SPREAD[family - len(CLOSED)](chosen)
    for change, rows in _grouped(
        torch.where(plan.change == PLAIN, -1, plan.change), device, plan.views
    ):
        for some in rows.split(at_once):
            level[some] = _CHANGES[change](items.rows(some), level[some])
    _cut_parts(plan, items, level, at_once)
    shape = (LAYERS, images, size, size)
    return Layers(items, level.view(shape), which.view(shape))


def all_items(plan: Plan, device: torch.device, size: int) -> Items:
    """Return the items of all layers of all images, slot after slot."""
    keys = plan.draws.keys
    half = torch.arange(plan.views).repeat(len(keys))
    sample = Draws(keys.repeat_interleave(plan.views))
    own = torch.where(plan.instance.repeat_interleave(plan.views), 0, half)
    slot = torch.arange(LAYERS).repeat_interleave(len(half))
    task, scene, view = (
        draws.keys.repeat(LAYERS)
        for draws in (sample.fork("task"), sample.fork("scene", own), sample.fork("view", half))
    )
    # One copy to the device.
    task, scene, view = torch.stack(
        (Draws(task).fork("layer", slot).keys, Draws(scene).fork("layer", slot).keys, view)
    ).to(device, non_blocking=True)
    return Items(Draws(task), Draws(scene), Draws(view), size)


def _grouped(kind: Tensor, device: torch.device, views: int) -> list[tuple[int, Tensor]]:
    """Group the items of a plan's B x LAYERS kinds: the kind and its rows; -1 is left out."""
    flat = kind.repeat_interleave(views, 0).t().flatten()
    rows = flat.argsort(stable=True)
    counts = torch.bincount(flat + 1, minlength=1).tolist()
    groups = rows.to(device, non_blocking=True).split(counts)
    return [(kind, rows) for kind, rows in enumerate(groups, -1) if kind >= 0 and len(rows)]


def _cut_parts(plan: Plan, items: Items, level: Tensor, at_once: int) -> None:
    """Keep of each part what lies in the layer below: its core, its rim or a piece of it."""
    images = plan.views * len(plan.layers)
    there = torch.arange(LAYERS) < plan.layers[:, None]
    for kind, rows in _grouped(torch.where(there, plan.part, WHOLE) - 1, level.device, plan.views):
        for some in rows.split(at_once):
            below = level[some - images]
            depth = items.rows(some).width("depth", 0.01, 0.045)
            if kind + 1 == CORE:
                level[some] = below - depth
            elif kind + 1 == RIM:
                level[some] = torch.minimum(below, depth - below)
            else:
                level[some] = torch.minimum(below, level[some])


def _contour(items: Items, level: Tensor) -> Tensor:
    return items.width("contour", 0.012, 0.04) - level.abs()


def _holed(items: Items, level: Tensor) -> Tensor:
    cycles = torch.exp2(items.task.between("hole cycles", 1.5, 3.2))
    noise, slope = waves_and_slope(items, *noise_waves(items, "holes", cycles))
    height = items.trait("hole height", 0.0, 1.0)
    return torch.minimum(level, (height - noise) / (slope + 4 * cycles[:, None, None]))


def _hatched(items: Items, level: Tensor) -> Tensor:
    inner = Items(items.task.fork("hatch"), items.scene.fork("hatch"), items.view, items.size)
    return torch.minimum(level, stripes(inner))


_CHANGES: dict[int, Callable[[Items, Tensor], Tensor]] = {
    CONTOUR: _contour,
    HOLED: _holed,
    HATCHED: _hatched,
}
