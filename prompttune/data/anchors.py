"""Pixels of a class map, drawn at random without looking at the whole map each time."""

from collections.abc import Callable

import numpy as np

from prompttune.utils.constants import IGNORE

Matches = Callable[[np.ndarray], np.ndarray]
"""From values of a class map to whether they are meant."""


class Anchors:
    """Where a class map shows something, counted by row: a draw looks at one row alone.

    Args:
        class_map: `H x W uint8`, 255 where pixels do not count.

    Attributes:
        classes: those that the map shows, in their order, `uint8`.
    """

    def __init__(self, class_map: np.ndarray) -> None:
        values = np.unique(class_map)
        self.classes = np.setdiff1d(values, (0, IGNORE))
        self._counted = _ends(class_map != IGNORE)
        self._showing = {int(one): _ends(class_map == one) for one in self.classes}

    def of_class(self, class_map: np.ndarray, label: int, rng: np.random.Generator) -> int:
        """Draw a pixel of a class that the map shows; each equally often.

        Args:
            class_map: the same as before.
            label: the class.
            rng: of the draw.

        Returns:
            Its index in the flattened map.
        """
        return _drawn(class_map, self._showing[label], lambda row: row == label, rng)

    def counted(self, class_map: np.ndarray, rng: np.random.Generator) -> int:
        """Draw a pixel that counts, or any where none does; as `of_class`."""
        if not self._counted[-1]:
            return int(rng.integers(class_map.size))
        return _drawn(class_map, self._counted, lambda row: row != IGNORE, rng)


def _ends(shown: np.ndarray) -> np.ndarray:
    """Return how many pixels are shown up to the end of each row."""
    return np.cumsum(np.count_nonzero(shown, axis=1))


def _drawn(
    class_map: np.ndarray, ends: np.ndarray, matches: Matches, rng: np.random.Generator
) -> int:
    index = rng.choice(ends[-1])
    row = int(np.searchsorted(ends, index, side="right"))
    before = ends[row - 1] if row else 0
    column = np.flatnonzero(matches(class_map[row]))[index - before]
    return row * class_map.shape[1] + int(column)
