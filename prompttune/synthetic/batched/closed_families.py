"""Families of closed shapes: a few to a scene, each inside its own cell of the plane.

A family is a function `(items, stamps) -> field`. What the shape is belongs to the task; place,
size and turn are drawn for each scene.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prompttune.synthetic.batched.fields import (
    GLYPHS,
    Items,
    glyph_field,
    look_up,
    nearest,
    spread_points,
)

SIDE = 3
MAX_SHAPES = SIDE * SIDE  # shapes in a scene


@dataclass(frozen=True)
class Stamps:
    """The frame of the nearest shape at each pixel, all N x S x S."""

    u: Tensor
    v: Tensor
    """Place in the shape's own frame, in parts of its radius."""
    radius: Tensor
    index: Tensor
    """int64, which shape it is."""


def scatter(items: Items) -> Stamps:
    """Place one to `MAX_SHAPES` shapes, many small or few large ones."""
    share = items.task.uniform("crowd") ** 1.5
    count = 1 + (share * MAX_SHAPES).long()
    size = items.task.between("size", 0.12, 0.38) * (1 - 0.62 * share)
    radii = size[:, None] * items.scene.between("sizes", 0.75, 1.3, MAX_SHAPES)
    there = torch.arange(MAX_SHAPES, device=count.device) < count[:, None]
    points = spread_points(items.scene, "places", SIDE)
    index = nearest(items, points, torch.where(there, radii, 0.0)).index
    x, y = items.place
    radius = look_up(radii, index)
    dx = (x - look_up(points[..., 0], index)) / radius
    dy = (y - look_up(points[..., 1], index)) / radius
    spread = torch.where(items.task.chance("any turn", 0.6), math.pi, 0.15)
    turn = spread[:, None] * items.scene.between("turns", -1, 1, MAX_SHAPES)
    cosine, sine = look_up(turn.cos(), index), look_up(turn.sin(), index)
    stretch = items.trait("stretch", -0.6, 1.2).clamp(min=0) + 1
    return Stamps((dx * cosine + dy * sine) * stretch, dy * cosine - dx * sine, radius, index)


def _polar(stamps: Stamps) -> tuple[Tensor, Tensor]:
    return torch.hypot(stamps.u, stamps.v), torch.atan2(stamps.v, stamps.u)


def _whole(items: Items, name: str, low: int, high: int) -> Tensor:
    """Draw a shared whole number from `low` to below `high`: N x 1 x 1 float32."""
    return (items.task.integers(name, high - low) + low).float()[:, None, None]


def harmonics(items: Items, stamps: Stamps) -> Tensor:
    """Radius of two harmonics of the angle: discs, clovers, amoebae."""
    distance, angle = _polar(stamps)
    phase = look_up(items.table("phases", MAX_SHAPES) * (2 * math.pi), stamps.index)
    first, second = (_whole(items, name, 2, 8) for name in ("first", "second"))
    outline = 0.75 + items.trait("swing", -0.1, 0.3).clamp(min=0) * (first * angle).cos()
    ripple = items.trait("ripple", -0.15, 0.15).clamp(min=0)
    return (outline + ripple * (second * angle + phase).cos() - distance) * stamps.radius


def polygons(items: Items, stamps: Stamps) -> Tensor:
    """Regular polygons and, with drawn-in sides, stars."""
    distance, angle = _polar(stamps)
    half = math.pi / _whole(items, "corners", 3, 9)
    notch = half.cos() * (1 - items.trait("notch", -0.4, 0.6).clamp(min=0))
    inside = (torch.remainder(angle, 2 * half) - half).abs()
    inside = half - inside  # angle from the nearest corner's ray
    edge_x, edge_y = notch * half.cos() - 1, notch * half.sin()
    length = torch.hypot(edge_x, edge_y)
    level = edge_x * (distance * inside.sin()) - edge_y * (distance * inside.cos() - 1)
    return level / length * stamps.radius


def slabs(items: Items, stamps: Stamps) -> Tensor:
    """Rectangles, ellipses and diamonds, and all between them."""
    u, v = stamps.u.abs(), stamps.v.abs() * items.trait("aspect", 1, 2.6)
    square, disc, diamond = (items.trait(name, 0, 1) ** 2 for name in ("square", "disc", "diamond"))
    blend = square * torch.maximum(u, v) + disc * torch.hypot(u, v) + diamond * 0.8 * (u + v)
    return (0.75 - blend / (square + disc + diamond + 1e-3)) * stamps.radius


def shards(items: Items, stamps: Stamps) -> Tensor:
    """Irregular convex polygons: the common part of half planes."""
    sides = 5
    corner = (torch.arange(sides, device=stamps.u.device) + items.task.uniform("tilt", sides)) * (
        2 * math.pi / sides
    )
    height = items.task.between("heights", 0.35, 0.85, sides)
    level = torch.full_like(stamps.u, 2.0)
    for k in range(sides):
        cosine, sine = corner[:, k, None, None].cos(), corner[:, k, None, None].sin()
        face = height[:, k, None, None] - cosine * stamps.u - sine * stamps.v
        level = torch.minimum(level, face)
    return level * stamps.radius


def asterisks(items: Items, stamps: Stamps) -> Tensor:
    """Arms from a center: bars, crosses, asterisks; thick or tapering."""
    distance, angle = _polar(stamps)
    half = math.pi / _whole(items, "arms", 2, 8)
    off = torch.remainder(angle + half, 2 * half) - half
    taper = 1 - items.trait("taper", -0.5, 0.9).clamp(min=0) * distance.clamp(max=1)
    width = (items.trait("arm", 0.09, 0.25) * taper).clamp(min=0) * stamps.radius
    width = width.clamp(min=0.6 * items.pixel)
    beside = torch.where(off.abs() < math.pi / 2, distance * off.sin().abs(), distance)
    return torch.minimum(width - beside * stamps.radius, (1 - distance) * stamps.radius)


def crescents(items: Items, stamps: Stamps) -> Tensor:
    """A disc less another disc: moons, rings, bites."""
    away = items.trait("away", 0, 0.7)
    outer = 0.85 - torch.hypot(stamps.u, stamps.v)
    inner = torch.hypot(stamps.u - away, stamps.v) - items.trait("inner", 0.35, 0.65)
    return torch.minimum(outer, inner) * stamps.radius


def gears(items: Items, stamps: Stamps) -> Tensor:
    """Toothed wheels, with a hole or without."""
    distance, angle = _polar(stamps)
    wave = (_whole(items, "teeth", 5, 12) * angle).cos() * 3
    teeth = wave.clamp(-1, 1) * items.trait("depth", 0.06, 0.16)
    hole = items.trait("hole", -0.3, 0.45)
    return torch.minimum(0.8 + teeth - distance, distance - hole) * stamps.radius


def letters(items: Items, stamps: Stamps) -> Tensor:
    """Letters and figures: one for the whole task, or any of one font."""
    own = items.scene.integers("glyphs", GLYPHS, MAX_SHAPES)
    shared = items.task.integers("glyph", GLYPHS)[:, None].expand(-1, MAX_SHAPES)
    glyph = torch.where(items.task.chance("one glyph", 0.6)[:, None], shared, own)
    level = glyph_field(stamps.u * 0.5 + 0.5, stamps.v * 0.5 + 0.5, look_up(glyph, stamps.index))
    return (level * 2 + items.trait("bold", -0.02, 0.08)) * stamps.radius


CLOSED: tuple[Callable[[Items, Stamps], Tensor], ...] = (
    harmonics,
    harmonics,
    polygons,
    slabs,
    shards,
    asterisks,
    crescents,
    gears,
    letters,
)
