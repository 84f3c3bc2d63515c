"""An image's annotated things, and the class map that they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from prompttune.data.annotations.outlines import Outline
from prompttune.data.class_names import UNNAMED
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED, reason


@dataclass(frozen=True, eq=False)
class Thing:
    """One annotated thing, its outline not looked at yet."""

    name: str
    """Of its category or label."""
    place: str
    """How errors name it, file included."""
    outline: Callable[[], Outline]
    """Makes the outline; raises `ValueError` where there is none."""
    crowd: bool = False
    """Its pixels are not counted."""
    box: Outline | None = None
    """What it covers at most, where it has no outline that can be read."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """What a file says of one image."""

    image: Path
    file: Path
    """The JSON file."""
    size: tuple[int, int] | None
    """Width and height of the image as the file has them."""
    things: tuple[Thing, ...]


def image_of(name: str, find_image: Callable[[str], Path | None], place: Path | str) -> Path:
    """Return the image of a name in a file of annotations.

    Args:
        name: as the file has it.
        find_image: from such a name to a path.
        place: for the error, file included.

    Raises:
        InputError: an image that is missing.
    """
    image = find_image(name)
    if image is None:
        raise InputError(f"{place}: names the image {name!a}, which is not there")
    return image


@dataclass(frozen=True, eq=False)
class Painting:
    """The outlines of an image's named classes, ready to be painted."""

    annotation: Annotation
    outlines: tuple[tuple[Thing, Outline, int], ...]
    """With the value of each in the class map."""
    left_out: tuple[str, ...] = ()
    """Things without an outline, and why; where they have a box, it is not counted."""

    @classmethod
    def of(cls, annotation: Annotation, numbers: Mapping[str, int]) -> "Painting":
        """Take the things of the named classes; others are background.

        Args:
            annotation: of the image.
            numbers: class index of each name.
        """
        outlines: list[tuple[Thing, Outline, int]] = []
        left_out = []
        for thing in annotation.things:
            if thing.name in numbers:
                try:
                    outline = thing.outline()
                except MALFORMED as error:
                    left_out.append(f"{thing.place}: {_reason(error)}")
                    if thing.box is not None:
                        outlines.append((replace(thing, crowd=True), thing.box, IGNORE))
                    continue
                number = IGNORE if thing.crowd else numbers[thing.name]
                outlines.append((thing, outline, number))
        return cls(annotation, tuple(outlines), tuple(left_out))

    def shown(self) -> frozenset[int]:
        """Return the classes of its things."""
        return frozenset(number for _, _, number in self.outlines if number != IGNORE)

    def class_map(self, shape: tuple[int, int]) -> np.ndarray:
        """Paint a class map `H x W uint8`: 0 background, i the i-th class, 255 crowds.

        Of things that overlap the smaller lies above, of equal ones the later class; crowds lie
        below all.

        Raises:
            InputError: the image has another size, an outline does not fit it, or is damaged.
        """
        height, width = shape
        if self.annotation.size not in (None, (width, height)):
            own, file = self.annotation.size, self.annotation.file
            raise InputError(
                f"{self.annotation.image} has {width} x {height} pixels (width x height), but "
                f"{file} says {own[0]} x {own[1]}; they must be equal"
            )
        class_map = np.zeros(shape, np.uint8)
        for _, _, value, thing, outline in sorted(
            (
                (not thing.crowd, -_measured(thing, outline), value, thing, outline)
                for thing, outline, value in self.outlines
            ),
            key=lambda entry: entry[:3],
        ):
            try:
                outline.paint(class_map, value)
            except MALFORMED as error:
                raise InputError(f"{thing.place}: {_reason(error)}") from None
        return class_map


def class_numbers(
    annotations: Iterable[Annotation], classes: Sequence[str], folder: Path
) -> dict[str, int]:
    """Say which class each annotated name is; names beside them are background.

    Where no classes were named (they are `UNNAMED`) and all things bear one name, that
    is the class.

    Raises:
        InputError: a class that nothing bears the name of; the line lists the names there are.
    """
    names = sorted({t.name for each in annotations for t in each.things if not t.crowd})
    lacking = [name for name in classes if name not in names]
    meant = [name for name in names if name.strip().casefold() == classes[0].casefold()]
    if lacking and len(classes) == 1 and len(meant) == 1:
        return {meant[0]: 1}
    numbers = [int(name) for name in names if name.isdecimal()]
    if lacking and names and len(numbers) == len(names) and max(numbers) < len(classes):
        return {str(number): number + 1 for number in range(len(classes))}  # YOLO's, without names
    if not lacking:
        return {name: number for number, name in enumerate(classes, 1)}
    if not names:
        raise InputError(f"{folder}: its annotations hold no things; outline some first")
    if tuple(classes) == UNNAMED:
        if len(names) == 1:
            return {names[0]: 1}
        raise InputError(
            f"{folder}: things of several names are annotated ({', '.join(names)}); say which are "
            "the classes with --classes A,B"
        )
    raise InputError(
        f"{folder}: nothing is annotated as '{lacking[0]}', only as {', '.join(names)}; give "
        "--classes A,B"
    )


def _measured(thing: Thing, outline: Outline) -> float:
    try:
        return outline.area()
    except MALFORMED as error:
        raise InputError(f"{thing.place}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"has no {error}"
    return str(error) if type(error) is ValueError else f"cannot be understood ({reason(error)})"
