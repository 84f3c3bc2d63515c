"""Grow the vessel trees of a generated retina.

Radii at a fork obey Murray's law, r0^3 = r1^3 + r2^3, and the angles between its branches cost the
least work for those radii: cos a1 = (r0^4 + r1^4 - r2^4) / (2 r0^2 r1^2) (C. D. Murray, "The
physiological principle of minimum work", PNAS 12, 1926). The large arcades follow power curves that
open towards the macula, as models of the temporal arcade do (Oloumi, Rangayyan and Ells, 2012).

Lengths are in radii of the field of view, which is the unit circle; x points right, y points down.
"""

import heapq
import math
from dataclasses import dataclass, field

import numpy as np

STEP = 0.02  # between the points of a vessel
THINNEST = 0.0025  # about the thinnest vessel that observers draw on fundus photographs
_CELL = 0.05  # vessels of one kind keep about this far apart


@dataclass(frozen=True)
class Anatomy:
    """Where optic disc and fovea lie (x, y), how large they are, how much the vessels wind."""

    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    fovea_radius: float
    tortuosity: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Anatomy":
        """Draw an eye whose optic disc lies right of the center."""
        x, y = rng.uniform(0.68, 0.8), rng.uniform(-0.1, 0.1)
        fovea = (x - rng.uniform(0.72, 0.82), y + rng.uniform(0.0, 0.1))
        disc_radius, fovea_radius = rng.uniform(0.125, 0.155), rng.uniform(0.07, 0.11)
        return cls((x, y), disc_radius, fovea, fovea_radius, rng.uniform(0.6, 1.5))


@dataclass
class Vessel:
    """One vessel: `points` (x, y) and `radii` at them; it left `parent` after its point `fork`."""

    artery: bool
    parent: "Vessel | None" = None
    fork: int = 0
    points: list[tuple[float, float]] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Course:
    """Where a vessel is drawn to: along an arcade, in one direction, or to (-from) a point."""

    pull: float
    arcade: tuple[float, float, float] | None = None  # side (-1 up, 1 down), reach, power
    angle: float | None = None
    point: tuple[float, float] = (0.0, 0.0)
    away: bool = False


def grow_vessels(rng: np.random.Generator, anatomy: Anatomy) -> list[Vessel]:
    """Grow arteries and veins out of the optic disc until they leave the field or become too thin.

    Vessels of one kind do not cross; none enters the fovea. The thickest grow first.
    """
    tips: list[tuple[float, int, Vessel, float, _Course]] = []
    for artery in (False, True):
        for start, radius, angle, course in _trunks(rng, anatomy, artery):
            vessel = Vessel(artery, points=[start], radii=[radius])
            tips.append((-radius, len(tips), vessel, angle, course))
    heapq.heapify(tips)
    born = len(tips)
    taken: dict[tuple[bool, int, int], Vessel] = {}
    vessels = []
    while tips:
        _, _, vessel, angle, course = heapq.heappop(tips)
        for branch, branch_angle in _grow(rng, anatomy, vessel, angle, course, taken):
            onwards = _branch_course(branch.points[0], branch_angle, anatomy)
            heapq.heappush(tips, (-branch.radii[0], born, branch, branch_angle, onwards))
            born += 1
        if len(vessel.points) > 3:
            vessels.append(vessel)
    return vessels


def _trunks(
    rng: np.random.Generator, anatomy: Anatomy, artery: bool
) -> list[tuple[tuple[float, float], float, float, _Course]]:
    """Return start, radius, angle and course of the vessels that leave the disc."""
    x, y = anatomy.disc
    width = 0.75 if artery else 1.0
    trunks = []
    for side in (-1.0, 1.0):
        start = (x + rng.uniform(0.0, 0.05), y + side * rng.uniform(-0.02, 0.05))
        apart = rng.choice((-1.0, 1.0)) * rng.uniform(0.03, 0.07)  # the pair runs side by side
        reach = rng.uniform(0.55, 0.66) + (apart if artery else 0.0)
        arcade = (side, reach, rng.uniform(1.7, 2.8))
        radius = width * rng.uniform(0.012, 0.015)
        trunks.append((start, radius, side * math.pi / 2, _Course(9.0, arcade)))
        for _ in range(rng.integers(1, 3)):
            angle = side * math.radians(rng.uniform(15, 80))
            radius = width * rng.uniform(0.005, 0.0095)
            trunks.append((start, radius, angle, _Course(2.0, angle=angle)))
        for _ in range(rng.integers(0, 3)):
            angle = math.pi - side * math.radians(rng.uniform(5, 50))
            radius = width * rng.uniform(0.004, 0.006)
            trunks.append((start, radius, angle, _Course(1.5, point=anatomy.fovea)))
    return trunks


def _branch_course(start: tuple[float, float], angle: float, anatomy: Anatomy) -> _Course:
    """Draw branches that set out towards the macula to it (beyond it: to its line), others away."""
    inwards = (min(anatomy.fovea[0], start[0] - 0.1), anatomy.fovea[1])
    towards = math.cos(angle - math.atan2(inwards[1] - start[1], inwards[0] - start[0])) > 0
    if towards:
        return _Course(2.5, point=inwards)
    return _Course(1.5, point=anatomy.fovea, away=True)


def _grow(
    rng: np.random.Generator,
    anatomy: Anatomy,
    vessel: Vessel,
    angle: float,
    course: _Course,
    taken: dict[tuple[bool, int, int], Vessel],
) -> list[tuple[Vessel, float]]:
    """Extend a vessel to its end; return its branches with their angles."""
    branches: list[tuple[Vessel, float]] = []
    radius = vessel.radii[-1]
    bend, length, side = 0.0, 0.0, rng.choice((-1.0, 1.0))
    restless = anatomy.tortuosity * (2.0 if radius > 0.006 else 4.0)
    next_fork, end = _fork_distance(rng), math.inf
    while length < end:
        x, y = vessel.points[-1]
        bend += -0.3 * bend + rng.normal(0.0, restless)
        turn = math.remainder(_heading(course, x, y, anatomy) - angle, math.tau)
        angle += (bend + course.pull * turn) * STEP
        x, y = x + STEP * math.cos(angle), y + STEP * math.sin(angle)
        length += STEP
        if _blocked(x, y, anatomy, vessel, length, taken):
            break
        vessel.points.append((x, y))
        vessel.radii.append(radius)
        if length < next_fork:
            continue
        least_share = (THINNEST / radius) ** 3
        if least_share > 0.5:  # it cannot fork any more
            next_fork, end = math.inf, length + rng.uniform(0.0, 0.25)
            continue
        thick, thin = _murray(radius, max(least_share, _share(rng, radius)))
        side = -side if rng.random() < 0.7 else side
        branch = Vessel(vessel.artery, vessel, len(vessel.points) - 1, [(x, y)], [thin])
        branches.append((branch, angle + side * _fork_angle(radius, thin, thick)))
        angle -= side * _fork_angle(radius, thick, thin)
        radius = thick
        next_fork = length + _fork_distance(rng)
    return branches


def _heading(course: _Course, x: float, y: float, anatomy: Anatomy) -> float:
    """Return the angle that the course asks for at a point."""
    if course.angle is not None:
        return course.angle
    if course.arcade is None:
        dx, dy = course.point[0] - x, course.point[1] - y
        return math.atan2(-dy, -dx) if course.away else math.atan2(dy, dx)
    # The curve dx = -depth (dy / reach)^power passes above or below the fovea at height `reach`.
    side, reach, power = course.arcade
    depth = anatomy.disc[0] - anatomy.fovea[0]
    height = max(side * (y - anatomy.disc[1]), 0.01) / reach
    slope = depth * power * height ** (power - 1) / reach
    astray = (x - anatomy.disc[0]) + depth * height**power
    return math.atan2(side, -slope - 6.0 * astray)


def _blocked(
    x: float,
    y: float,
    anatomy: Anatomy,
    vessel: Vessel,
    length: float,
    taken: dict[tuple[bool, int, int], Vessel],
) -> bool:
    """Tell if a vessel has to end before this point; if not, the point's cell is now its own."""
    if math.hypot(x, y) > 1.03:
        return True
    near = anatomy.fovea_radius + 25 * vessel.radii[-1]  # thick vessels end farther out
    if math.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1]) < near:
        return True
    if math.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) < 1.3 * anatomy.disc_radius:
        return False  # in the disc they all crowd together
    cell = (vessel.artery, math.floor(x / _CELL), math.floor(y / _CELL))
    owner = taken.setdefault(cell, vessel)
    just_born = length < 0.1 and owner is vessel.parent
    return owner is not vessel and not just_born


def _fork_distance(rng: np.random.Generator) -> float:
    return rng.uniform(0.1, 0.32)


def _share(rng: np.random.Generator, radius: float) -> float:
    """Draw the share of flow that the thinner branch takes: trunks give off little at a time."""
    return rng.uniform(0.06, 0.3) if radius > 0.009 else rng.uniform(0.12, 0.5)


def _murray(radius: float, share: float) -> tuple[float, float]:
    return radius * (1 - share) ** (1 / 3), radius * share ** (1 / 3)


def _fork_angle(parent: float, branch: float, other: float) -> float:
    """Return the angle by which a branch leaves the direction of its parent, of least work."""
    return math.acos((parent**4 + branch**4 - other**4) / (2 * parent**2 * branch**2))
