"""Drawing as HSNet's code draws, so that a seed gives the same episodes.

That code seeds NumPy's global generator and takes one element at a time without replacement; a
generator of one's own draws the same.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from prompttune.utils.errors import InputError

T = TypeVar("T")


class Draw:
    """A seeded generator that draws as `numpy.random.choice(items, 1, replace=False)[0]` does."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)

    def one(self, items: Sequence[T]) -> T:
        """Return one element."""
        return items[int(self._random.choice(len(items), 1, replace=False)[0])]

    def others(self, items: Sequence[T], query: T, count: int, what: str) -> list[T]:
        """Draw so many elements that are not the query; one may be drawn twice, as in HSNet's code.

        Args:
            items: to draw from.
            query: is drawn again where it comes up.
            count: how many.
            what: names what is drawn, for messages.

        Raises:
            InputError: there is nothing but the query.
        """
        if not any(each != query for each in items):
            raise InputError(
                f"{what} has one image alone, no example beside a query; copy the set again"
            )
        taken: list[T] = []
        while len(taken) < count:
            each = self.one(items)
            if each != query:
                taken.append(each)
        return taken
