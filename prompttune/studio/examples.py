"""What pages bring, kept once under the hash of its bytes; and prompts of painted examples."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.serve.images import read_pixels
from prompttune.serve.limits import Refused
from prompttune.serve.work import Service, apart, scaled
from prompttune.studio.wanted import Example
from prompttune.utils.errors import InputError
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


MAX_KEPT = 16
Known = tuple[tuple[Example, ...], tuple[str, ...]]


@dataclass
class Examples:
    """Decodes what was painted, and makes prompts of it; choosing a scale takes several answers."""

    service: Service
    store: Store
    _kept: "OrderedDict[Known, asyncio.Task[Prompt | Composition]]" = field(
        default_factory=OrderedDict
    )

    def pixels(self, name: str, prompt: Prompt | Composition | None = None) -> np.ndarray:
        """Decode an image that was brought, as a prompt is to see it."""
        return read_pixels(self.store.get(name), "image", self.service.limits, prompt)

    def pairs(self, examples: Sequence[Example]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Decode examples."""
        images = [self.pixels(one.image) for one in examples]
        return [
            (image, self.store.class_map(one.mask, (image.shape[0], image.shape[1])))
            for image, one in zip(images, examples, strict=True)
        ]

    async def prompt(
        self, examples: Sequence[Example], classes: Sequence[str]
    ) -> Prompt | Composition:
        """Return the prompt of some examples at the scale that suits them.

        Raises:
            Refused: 422, images and masks that cannot be used together; as `Store.get`.
        """
        known = tuple(examples), tuple(classes)
        made = self._kept.get(known)
        if made is None or (made.done() and (made.cancelled() or made.exception())):
            made = self._kept[known] = asyncio.create_task(self._made(*known))
            made.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._kept.move_to_end(known)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return await asyncio.shield(made)  # others may wait for it when one client goes

    async def _made(
        self, examples: tuple[Example, ...], classes: tuple[str, ...]
    ) -> Prompt | Composition:
        return await scaled(
            self.service.engine, await apart(self.service, lambda: self._joined(examples, classes))
        )

    def _joined(self, examples: tuple[Example, ...], classes: tuple[str, ...]) -> Prompt:
        try:
            return Prompt.from_examples(
                self.pairs(examples), classes, "auto", self.service.segmenter.canvas(None)
            )
        except InputError as error:
            raise Refused(422, f"{error}.") from None
