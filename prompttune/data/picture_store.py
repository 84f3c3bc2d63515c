"""Images and class maps that training crops are cut from: in memory, or in a file if they are many.

A set of photos can be larger than a laptop's memory. What has no room there lies in a temporary
file that is mapped: the system reads the parts that crops need, and forgets them when memory runs
short.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from prompttune.utils.errors import InputError

IN_MEMORY = 2**31
"""Bytes that are held in memory."""
Picture = tuple[np.ndarray, np.ndarray]
"""An image, `H x W x 3 uint8`, and its class map, `H x W uint8`."""


@dataclass(frozen=True)
class _OnDisk:
    """Where an array lies; mapped when it is asked for, so that workers can be sent this."""

    path: Path
    offset: int
    shape: tuple[int, ...]

    def mapped(self) -> np.ndarray:
        return np.memmap(self.path, np.uint8, "r", self.offset, self.shape)


class PictureStore(Sequence[Picture]):
    """Pictures in the order in which they were added; none is changed.

    Args:
        most: bytes that are held in memory; what comes later lies in the system's folder for
            temporary files (`TMPDIR`), until the store is gone.
    """

    def __init__(self, most: int = IN_MEMORY) -> None:
        self._most, self._bytes = most, 0
        self._pictures: list[tuple[np.ndarray | _OnDisk, np.ndarray | _OnDisk]] = []
        self._path: Path | None = None

    def add(self, image: np.ndarray, class_map: np.ndarray) -> None:
        """Keep a picture.

        Raises:
            InputError: it has no room in memory, and none on the disk.
        """
        self._bytes += image.nbytes + class_map.nbytes
        if self._bytes <= self._most:
            self._pictures.append((image, class_map))
        else:
            self._pictures.append((self._written(image), self._written(class_map)))

    def _written(self, array: np.ndarray) -> _OnDisk:
        try:
            if self._path is None:
                folder = tempfile.mkdtemp(prefix="prompttune-")
                weakref.finalize(self, _remove, folder, os.getpid())
                self._path = Path(folder) / "pictures"
            with self._path.open("ab") as file:
                offset = file.tell()
                file.write(np.ascontiguousarray(array).data)
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}: the training images have no room there ({error}), "
                f"{self._bytes / 2**30:.1f} GiB so far; make room, set TMPDIR to another folder, "
                "or give a coarser --scale"
            ) from error
        return _OnDisk(self._path, offset, array.shape)

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        image, class_map = self._pictures[index]
        return _read(image), _read(class_map)


def _remove(folder: str, owner: int) -> None:
    """Remove a folder in the process that made it: one that forked from that still reads there."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _read(kept: np.ndarray | _OnDisk) -> np.ndarray:
    return kept.mapped() if isinstance(kept, _OnDisk) else kept
