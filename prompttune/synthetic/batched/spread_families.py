"""Families that spread over the scene: regions, curves, networks, tilings, stripes and writing.

A family is a function `(items) -> field`. Its traits belong to the task, its details to the scene.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from prompttune.synthetic.batched.fields import (
    GLYPHS,
    Items,
    glyph_field,
    look_up,
    nearest,
    noise_waves,
    segments,
    waves_and_slope,
)

LATTICE = 16  # tiles repeat their random numbers after so many
CORNERS = 20  # seeds of a mosaic
PIECES = 12  # of a network or a heap of sticks


def _turned(items: Items, far: float = 8.0) -> tuple[Tensor, Tensor]:
    """Return the place in a frame turned and shifted for each scene: x and y, N x S x S."""
    x, y = items.place
    angle = items.scene.between("frame turn", 0, 2 * math.pi)[:, None, None]
    shift = items.scene.uniform("frame shift", 2)[:, :, None, None] * far
    cosine, sine = angle.cos(), angle.sin()
    dx, dy = x - 0.5, y - 0.5
    return dx * cosine + dy * sine + shift[:, 0], dy * cosine - dx * sine + shift[:, 1]


def _tile(column: Tensor, row: Tensor) -> Tensor:
    """Number the tiles of a lattice: int64 in 0 ... LATTICE^2 - 1."""
    return torch.remainder(column, LATTICE).long() + LATTICE * torch.remainder(row, LATTICE).long()


def _edge(items: Items, away: Tensor, chosen: Tensor) -> Tensor:
    """Return walls, or some of the tiles, from the distance to the nearest wall."""
    walls = items.width("wall", 0.012, 0.05) - away
    tiles = torch.where(chosen < items.trait("tiles", 0.15, 0.5), away, -away)
    return torch.where(items.task.chance("walls", 0.5)[:, None, None], walls, tiles)


def level_sets(items: Items) -> Tensor:
    """Smooth noise above a threshold: patches, islands, lakes."""
    cycles = torch.exp2(items.task.between("cycles", 0.3, 2.6))
    noise, slope = waves_and_slope(items, *noise_waves(items, "noise", cycles))
    return (noise - items.trait("height", 0.1, 1.2)) / (slope + 4 * cycles[:, None, None])


def isolines(items: Items) -> Tensor:
    """Where smooth noise is about zero: curves of varying width that never end."""
    cycles = torch.exp2(items.task.between("cycles", 0.0, 1.8))
    noise, slope = waves_and_slope(items, *noise_waves(items, "noise", cycles))
    swell, _ = waves_and_slope(items, *noise_waves(items, "swell", cycles, 6))
    width = items.width("width", 0.008, 0.035) * (1 + items.trait("vary", 0, 0.6) * swell)
    height = items.trait("height", 0, 0.8)
    return width.clamp(min=0.6 * items.pixel) - (noise - height).abs() / (slope + 1.0)


def meshes(items: Items) -> Tensor:
    """Zero lines of two noises: curves that cross."""
    cycles = torch.exp2(items.task.between("cycles", -0.3, 1.4))
    width = items.width("width", 0.007, 0.03)
    lines = [
        width - noise.abs() / (slope + 1.0)
        for noise, slope in (
            waves_and_slope(items, *noise_waves(items, name, cycles)) for name in ("one", "two")
        )
    ]
    return torch.maximum(*lines)


def stripes(items: Items) -> Tensor:
    """Bent stripes; crossed by others: a lattice, boxes or a chequerboard."""
    x, y = _turned(items)
    cycles = items.trait("cycles", 1.5, 8)
    duty = items.trait("duty", 0.25, 0.65)
    across, along = (
        (duty / 2 - (torch.remainder(at * scale, 1) - 0.5).abs()) / scale
        for at, scale in ((x, cycles), (y, cycles * items.trait("ratio", 0.4, 1)))
    )
    kind = items.task.choice("kind", (0, 0, 1, 2, 3))[:, None, None]
    crossed = torch.where(kind == 1, torch.maximum(across, along), torch.minimum(across, along))
    chequer = across * along / (across.abs() + along.abs() + 1e-4)
    return torch.where(kind == 0, across, torch.where(kind == 3, chequer, crossed))


def whorls(items: Items) -> Tensor:
    """Rings, spirals and rays about a center."""
    x, y = items.place
    center = items.scene.between("centre", 0.05, 0.95, 2)[:, :, None, None]
    dx, dy = x - center[:, 0], y - center[:, 1]
    distance, angle = torch.hypot(dx, dy) + 1e-3, torch.atan2(dy, dx) / (2 * math.pi)
    arms = items.task.choice("arms", (0, 0, 1, 2, 3, 6, 10))[:, None, None]
    cycles = items.trait("cycles", 1.5, 6) * (arms < 5)
    phase = cycles * distance + arms * angle + items.scene.uniform("phase")[:, None, None]
    scale = torch.hypot(cycles + 0 * distance, arms / (2 * math.pi * distance))
    duty = items.trait("duty", 0.2, 0.6)
    return (duty / 2 - (torch.remainder(phase, 1) - 0.5).abs()) / scale.clamp(min=0.5)


def mosaics(items: Items) -> Tensor:
    """Voronoi cells of random seeds: some of them, or the walls between all."""
    points = items.scene.between("seeds", -0.1, 1.1, CORNERS, 2)
    count = 5 + (items.task.uniform("count") * (CORNERS - 4)).long()
    there = torch.arange(CORNERS, device=count.device) < count[:, None]
    near = nearest(items, points, there.float())
    apart = torch.hypot(
        *(look_up(at, near.index) - look_up(at, near.next_index) for at in points.unbind(2))
    )
    away = (near.next_squared - near.squared) / (2 * apart + 1e-4)
    return _edge(items, away, look_up(items.table("chosen", CORNERS), near.index))


def bricks(items: Items) -> Tensor:
    """Rows of rectangles, straight above each other or shifted: walls or some of them."""
    x, y = _turned(items)
    scale, aspect = items.trait("scale", 2.5, 8), items.trait("aspect", 0.4, 1)
    rows = y * scale
    row = rows.floor()
    shifted = items.task.choice("shift", (0, 0.5))[:, None, None]
    columns = x * scale * aspect + shifted * row
    column = columns.floor()
    beside = 0.5 - (columns - column - 0.5).abs()
    above = 0.5 - (rows - row - 0.5).abs()
    away = torch.minimum(beside / (scale * aspect), above / scale)
    chosen = look_up(items.table("chosen", LATTICE**2), _tile(column, row))
    return _edge(items, away, chosen)


def hexagons(items: Items) -> Tensor:
    """Honeycombs: walls or some of the cells."""
    x, y = _turned(items)
    scale = items.trait("scale", 2.5, 7)
    tall = math.sqrt(3)
    offsets, gaps = [], []
    for half in (0.0, 0.5):  # a honeycomb is two rectangular lattices
        off_x = torch.remainder(x * scale - half, 1) - 0.5
        off_y = torch.remainder(y * scale - half * tall, tall) - tall / 2
        offsets.append((off_x, off_y))
        gaps.append(off_x.square() + off_y.square())
    second = gaps[1] < gaps[0]
    off_x, off_y = (torch.where(second, b, a) for a, b in zip(*offsets, strict=True))
    u, v = off_x.abs(), off_y.abs()
    away = (0.5 - torch.maximum(u, u / 2 + v * (tall / 2))) / scale
    column = ((x * scale - off_x) * 2).round()
    row = ((y * scale - off_y) * (2 / tall)).round()
    return _edge(items, away, look_up(items.table("chosen", LATTICE**2), _tile(column, row)))


def dots(items: Items) -> Tensor:
    """A jittered lattice of discs or squares of many sizes, some missing."""
    x, y = _turned(items)
    scale = items.trait("scale", 3, 9)
    columns, rows = x * scale, y * scale
    tile = _tile(columns.floor(), rows.floor())
    size = 0.16 + 0.22 * look_up(items.table("sizes", LATTICE**2), tile)
    free = (0.5 - size) * items.trait("loose", 0, 1)
    u = torch.remainder(columns, 1) - 0.5 - free * (2 * look_up(items.table("x", 256), tile) - 1)
    v = torch.remainder(rows, 1) - 0.5 - free * (2 * look_up(items.table("y", 256), tile) - 1)
    square = items.task.chance("square", 0.3)[:, None, None]
    away = torch.where(square, torch.maximum(u.abs(), v.abs()), torch.hypot(u, v))
    missing = look_up(items.table("there", LATTICE**2), tile) < items.trait("missing", 0, 0.5)
    return (size * ~missing - away) / scale


def truchet(items: Items) -> Tensor:
    """Tiles with two quarter circles each, turned at random: winding bands without end."""
    x, y = _turned(items)
    scale = items.trait("scale", 2, 6)
    columns, rows = x * scale, y * scale
    tile = _tile(columns.floor(), rows.floor())
    u, v = torch.remainder(columns, 1), torch.remainder(rows, 1)
    u = torch.where(look_up(items.table("flips", LATTICE**2), tile) < 0.5, u, 1 - u)
    first = (torch.hypot(u, v) - 0.5).abs()
    second = (torch.hypot(1 - u, 1 - v) - 0.5).abs()
    return items.width("width", 0.012, 0.05) - torch.minimum(first, second) / scale


def strands(items: Items) -> Tensor:
    """Long curves side by side that cross and swell."""
    count = 5
    along, beside = _turned(items, far=0.0)
    length = 2 * math.pi * items.trait("cycles", 0.5, 2.2)
    swing = (length * along + items.scene.between("phase", 0, 6, 1, 1)).sin()
    width = items.width("width", 0.01, 0.045) * (1 + items.trait("vary", 0, 0.5) * swing)
    many = 1 + items.task.integers("count", count)
    there = torch.arange(count, device=along.device) < many[:, None]
    level = torch.full_like(along, -1.0)
    for k in range(count):
        offset, slope, reach = items.scene.uniform(f"strand {k}", 3, 1, 1).unbind(1)
        offset = (k + offset) / count - 0.5 if k else 0.4 * (offset - 0.5)
        slope, reach = 1.2 * (slope - 0.5), items.trait("swing", 0, 0.16) * (0.4 + reach)
        gap = beside - offset - slope * along - reach * swing
        field = width - gap.abs() / torch.hypot(slope, 1 + 0.5 * reach * length)
        level = torch.where(there[:, k, None, None], torch.maximum(level, field), level)
    return level


def networks(items: Items) -> Tensor:
    """Trees of pieces that leave the end of an earlier one and grow thinner."""
    scene, task = items.scene, items.task
    many = scene.keys.shape[0]
    at = scene.between("root", 0.1, 0.9, 2)
    heading = torch.atan2(*(0.5 - at).flip(1).unbind(1)) + scene.between("heading", -0.6, 0.6)
    branching, wander = task.between("branching", 0, 1), task.between("wander", 0.1, 0.9)
    length = task.between("length", 0.12, 0.3)
    half = items.width("width", 0.012, 0.045)[:, 0, 0]
    starts, ends = [at - 0.2 * torch.stack((heading.cos(), heading.sin()), 1)], [at]
    headings, halves = [heading], [half]
    turns, lengths = scene.between("turn", -1, 1, PIECES), scene.between("reach", 0.6, 1.3, PIECES)
    parents = scene.uniform("parent", PIECES)
    branches = scene.uniform("branch", PIECES) < branching[:, None]
    rows = torch.arange(many, device=at.device)
    for k in range(1, PIECES):
        older = torch.where(branches[:, k], (parents[:, k] * k).long(), k - 1)
        begin, before = torch.stack(ends, 1)[rows, older], torch.stack(headings, 1)[rows, older]
        spread = torch.where(branches[:, k], 0.35 + wander, wander)
        heading = before + spread * turns[:, k] * 1.2
        step = torch.stack((heading.cos(), heading.sin()), 1) * (length * lengths[:, k])[:, None]
        half = torch.stack(halves, 1)[rows, older] * (1 - 0.3 * branches[:, k])
        starts.append(begin)
        ends.append(begin + step)
        headings.append(heading)
        halves.append(half.clamp(min=0.6 * items.pixel))
    widths = torch.stack(halves, 1)
    return segments(
        items, torch.stack(starts, 1), torch.stack(ends, 1), torch.stack((widths, widths), 2)
    )


def sticks(items: Items) -> Tensor:
    """Separate straight pieces, all ways or one way, blunt or pointed."""
    count = 2 + (items.task.uniform("count") * (PIECES - 1)).long()
    there = torch.arange(PIECES, device=count.device) < count[:, None]
    spread = items.task.choice("spread", (0.1, 0.4, 3.2))[:, None]
    angle = items.scene.between("angle", 0, 6.28)[:, None]
    angle = angle + spread * items.scene.between("angles", -1, 1, PIECES)
    reach = items.task.between("reach", 0.05, 0.3)[:, None]
    reach = reach * items.scene.between("reaches", 0.6, 1.3, PIECES)
    arm = torch.stack((angle.cos(), angle.sin()), 2) * reach[..., None]
    middle = items.scene.between("middles", 0.02, 0.98, PIECES, 2)
    half = items.width("width", 0.012, 0.045)[:, 0].expand(-1, PIECES)
    half = torch.where(there, half, -1.0)
    tip = half * torch.where(items.task.chance("pointed", 0.3), 0.2, 1.0)[:, None]
    return segments(items, middle - arm, middle + arm, torch.stack((half, tip), 2))


def writing(items: Items) -> Tensor:
    """Lines of letters with gaps between words."""
    x, y = items.place
    scale = items.trait("lines", 2.5, 7)
    columns = (x + items.scene.uniform("x", 1, 1)) * scale * items.trait("tight", 1.0, 1.6)
    rows = (y + items.scene.uniform("y", 1, 1)) * scale
    tile = _tile(columns.floor(), rows.floor())
    glyph = (look_up(items.table("letters", LATTICE**2), tile) * GLYPHS).long()
    level = glyph_field(torch.remainder(columns, 1), torch.remainder(rows, 1), glyph)
    gap = look_up(items.table("gaps", LATTICE**2), tile) < items.trait("sparse", 0, 0.6)
    return torch.where(gap, -0.2, level + items.trait("bold", -0.02, 0.05)) / scale


SOLID = (level_sets, stripes, whorls, dots, mosaics, bricks, hexagons)  # wide enough for contours
SPREAD: tuple[Callable[[Items], Tensor], ...] = (
    level_sets,
    isolines,
    meshes,
    stripes,
    whorls,
    mosaics,
    bricks,
    hexagons,
    dots,
    truchet,
    strands,
    networks,
    networks,
    sticks,
    writing,
)
