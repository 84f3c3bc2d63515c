"""What a COCO file holds: the one place that takes its JSON apart.

What is made of it differs: class maps of a user's data (`prompttune.data.annotations.coco`), class
and instance maps of a pool (`prompttune.pretraining.sources.coco`), and the numbers that results
bear (`prompttune.outputs.coco_ids`).
"""

import json
from dataclasses import dataclass
from typing import Any

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED


@dataclass(frozen=True)
class Category:
    """A kind of things."""

    id: Any
    """As the file has it; a whole number, if it is as COCO says."""
    name: str
    """Its number where it has no name."""
    is_thing: bool
    """Whether its segments are single objects; panoptic files say so."""


@dataclass(frozen=True)
class ImageEntry:
    """An image that a file names."""

    id: Any
    file_name: str
    size: tuple[int, int] | None
    """Width and height in pixels, where the file has them."""


@dataclass(frozen=True)
class CocoFile:
    """The parts of a COCO file, in its order."""

    categories: tuple[Category, ...]
    images: tuple[ImageEntry, ...]
    annotations: tuple[dict[str, Any], ...]
    """As parsed; what each must hold depends on its kind."""

    @classmethod
    def parse(cls, content: bytes, place: str, annotated: bool = True) -> "CocoFile":
        """Parse a file's bytes, see `of`."""
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: no COCO annotations ({error!r})") from None
        return cls.of(parsed, place, annotated)

    @classmethod
    def of(cls, content: Any, place: str, annotated: bool = True) -> "CocoFile":
        """Take parsed JSON apart.

        Args:
            content: parsed JSON.
            place: how errors name the file.
            annotated: `annotations` must be there; else it may be missing.

        Raises:
            InputError: it is not what COCO calls an annotation file.
        """
        try:
            annotations = content["annotations"] if annotated else content.get("annotations", ())
            file = cls(
                tuple(
                    Category(
                        one["id"], str(one.get("name", one["id"])), bool(one.get("isthing", 1))
                    )
                    for one in content["categories"]
                ),
                tuple(_image(one) for one in content["images"]),
                tuple(annotations),
            )
            if not all(isinstance(one, dict) for one in file.annotations):
                raise TypeError("an annotation is no mapping")
        except MALFORMED as error:
            raise InputError(f"{place}: no COCO annotations ({error!r})") from None
        return file


def _image(one: dict[str, Any]) -> ImageEntry:
    width, height = one.get("width"), one.get("height")
    size = (int(width), int(height)) if width and height else None
    return ImageEntry(one["id"], str(one["file_name"]), size)
