"""Prompts of painted examples: made once, for all the images that they answer."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.serve.images import read_pixels
from prompttune.serve.limits import Refused
from prompttune.serve.work import Service, apart, scaled
from prompttune.studio.store import Store
from prompttune.studio.wanted import Example
from prompttune.utils.errors import InputError

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
