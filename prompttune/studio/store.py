"""The files that pages bring, under the hash of their bytes: what is brought twice is kept once."""

import hashlib
import re
from pathlib import Path

import numpy as np

from prompttune.serve.limits import Refused
from prompttune.utils.io import write_whole


class Store:
    """A folder of images and class maps; no name from a request becomes a path.

    Args:
        folder: temporary; its owner removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, data: bytes) -> str:
        """Keep bytes, and return the name under which they are had again."""
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name
        if not path.exists():
            write_whole(path, data)
        return name

    def get(self, name: str) -> bytes:
        """Return what was kept.

        Raises:
            Refused: 410, nothing was, or the server has been started anew: bring it again.
        """
        if not re.fullmatch("[0-9a-f]{64}", name):
            raise Refused(422, "This is no name of a file here.")
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            raise Refused(
                410, "The server has not got this file any more; send it again."
            ) from None

    def class_map(self, name: str, size: tuple[int, int]) -> np.ndarray:
        """Return a class map that was kept as its plain bytes, row by row, `H x W uint8`.

        Raises:
            Refused: as `get`, or 422, its bytes are not of this size.
        """
        data = self.get(name)
        if len(data) != size[0] * size[1]:
            raise Refused(422, "The mask is not of the image's size.")
        return np.frombuffer(data, np.uint8).reshape(size).copy()
