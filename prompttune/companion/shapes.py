"""Which weights a companion has, and in which order they lie.

Needs no torch, since cards are read without it.
"""

import math
from collections.abc import Sequence


def convolutions(widths: Sequence[int], classes: int) -> list[tuple[str, tuple[int, int, int]]]:
    """List the convolutions of a companion in the order in which its weights lie.

    Going down, each level has two of 3 x 3; then, from the deepest but one up, each has two that
    read the level above beside its own; the last is 1 x 1.

    Args:
        widths: channels of each level, the finest first.
        classes: of the key, without the background.

    Returns:
        Of each a name, and its channels out, its channels in, and its side.
    """
    found, before = [], 3
    for level, width in enumerate(widths):
        found += _block(f"down{level}", before, width)
        before = width
    for level in reversed(range(len(widths) - 1)):
        found += _block(f"up{level}", widths[level] + widths[level + 1], widths[level])
    return [*found, ("out", (classes + 1, widths[0], 1))]


def weight_count(widths: Sequence[int], classes: int) -> int:
    """Return how many numbers the companion of so many classes has."""
    return sum(map(math.prod, weight_shapes(widths, classes)))


def weight_shapes(widths: Sequence[int], classes: int) -> list[tuple[int, ...]]:
    """Return the shapes of all weights and biases, in their order."""
    shapes: list[tuple[int, ...]] = []
    for _, (out, into, side) in convolutions(widths, classes):
        shapes += [(out, into, side, side), (out,)]
    return shapes


def _block(name: str, into: int, out: int) -> list[tuple[str, tuple[int, int, int]]]:
    return [(f"{name}.0", (out, into, 3)), (f"{name}.1", (out, out, 3))]
