"""Things that are kept as long as there is room: those asked for last."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The things that were asked for last, as many as `most` bytes hold, and one in any case.

    Args:
        most: bytes.
        size: the bytes of a thing.
    """

    def __init__(self, most: int, size: Callable[[T], int]) -> None:
        self._most, self._size = most, size
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the thing of a key, made unless it is kept; it is not to be changed."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                return self._things[key]
        made = make()  # what two threads ask for at once is made twice, and kept once
        with self._lock:
            if key not in self._things:
                self._things[key] = made
                self._bytes += self._size(made)
            while self._bytes > self._most and len(self._things) > 1:
                self._bytes -= self._size(self._things.popitem(last=False)[1])
        return made

    def pop(self, key: Hashable) -> T | None:
        """Return the thing of a key and forget it; None where it is not kept."""
        with self._lock:
            thing = self._things.pop(key, None)
            if thing is not None:
                self._bytes -= self._size(thing)
            return thing

    def __reduce__(self) -> tuple[type["Kept[T]"], tuple[int, Callable[[T], int]]]:
        return Kept, (self._most, self._size)  # another process makes its own
