"""Mask files: what they store, and what each stored value means as a class."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from prompttune.data.class_names import BACKGROUND
from prompttune.data.mask_forms import (
    AUTO,
    Form,
    MaskOptions,
    Stored,
    read_stored,
    stored_of_array,
    stored_of_pil,
    value_counts,
)
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

MANY = 21
"""Values 1 to this many on flat areas number things: no user lists as many classes as one."""
APART = 16
"""Grays that stand for classes lie at least so far apart."""
_FAR = 48
"""A color farther than this (of 255, the largest channel) from all that are named is unknown."""
_MERGED = 4096
"""Colors, the most frequent first, that a message sums up."""


def read_mask(
    path: str | Path,
    classes: int,
    values: Mapping[int, int] | None = None,
    options: MaskOptions = AUTO,
    page: int = 0,
) -> np.ndarray:
    """Read a mask file as an `H x W uint8` class map: 0 background, 1..`classes`, 255 ignore.

    Modes P and 1 are read as the indices they store, never as the grays of their palette; but a
    palette of black and white alone means by its colors what a gray mask does. Where the colors
    are all equal and alpha is not, alpha is the mask. EXIF orientation is not applied: it belongs
    to photos, and masks are drawn on upright ones. `class_map_from_values` tells what values mean.

    Args:
        path: of the file.
        classes: number of foreground classes.
        values: class index of each stored value, as in `options`.
        options: which kind of mask it is, colors.
        page: of a stack, from 0.

    Raises:
        InputError: as `read_image`; values that the classes do not name; colors without names.
    """
    options = options if values is None else replace(options, values=values)
    return class_map_of(read_stored(path, options, page), classes, options, path)


def read_field_of_view(path: str | Path) -> np.ndarray:
    """Read a field-of-view file, a mask of one class, as `H x W bool`: True = counts."""
    return read_mask(path, classes=1) == 1


def class_map_from_pil(
    image: Image.Image,
    classes: int,
    values: Mapping[int, int] | None = None,
    name: str | Path = "mask",
) -> np.ndarray:
    """Turn a Pillow mask into an `H x W uint8` class map, as `read_mask` does."""
    image.load()
    options = MaskOptions(values=values)
    return class_map_of(stored_of_pil(image, options, name), classes, options, name)


def class_map_from_values(
    pixels: np.ndarray,
    classes: int,
    values: Mapping[int, int] | None = None,
    name: str | Path = "mask",
    indices: bool = False,
) -> np.ndarray:
    """Turn stored mask values into an `H x W uint8` class map.

    `pixels` is `H x W`, or `H x W x C` with equal colors. `values` maps each stored value to a
    class index (0 background, 255 ignore). Without it, with one class,

    - {0, 1} is an index map, and in {0, 255} (16 bits: {0, 65535}) 255 is the class;
    - a run of integers from 0 to 21 or more, each on flat areas, numbers things: all but 0 is the
      class;
    - more than two values, grays among them, are an anti-aliased mask: above half of the range
      (> 127) is the class. Not so where `indices` says that the file stores indices, nor for the
      likes of {0, 1, 255} and {0, 1, 2}, which may be index maps of something else, nor where one
      gray between covers areas of its own as in {0, 127, 255}: these are two classes;

    and with several classes 0..`classes` are indices and 255 is ignored, with `values` too; or as
    many grays as there are classes, at least 16 apart, are the classes in rising order.

    Raises:
        InputError: values that this does not explain; the line names file, values and classes.
    """
    options = MaskOptions(values=values)
    stored = stored_of_array(pixels, options, name, "indices" if indices else "gray")
    return class_map_of(stored, classes, options, name)


def class_map_of(
    stored: Stored, classes: int, options: MaskOptions, name: str | Path
) -> np.ndarray:
    """Turn what a mask file holds into an `H x W uint8` class map (`class_map_from_values`)."""
    if options.colors is not None or stored.form == "colors":
        return _by_colors(stored, classes, options, name)
    values, _ = value_counts(stored.values)
    found = [int(value) for value in values]
    table = _table(stored, found, classes, options, name)
    if stored.values.dtype in (np.uint8, np.uint16):
        of_all = np.zeros(found[-1] + 1, np.uint8)
        of_all[values] = table
        return of_all[stored.values]
    return table[np.searchsorted(values, stored.values)]


def class_counts(
    counts: Mapping[int, int], form: Form, classes: int, options: MaskOptions, name: str | Path
) -> dict[int, int]:
    """Return the pixels of each class index, of the pixels of each stored value.

    Raises:
        InputError: as `class_map_of`.
    """
    found = sorted(counts)
    stored = Stored(np.array([found]), form)
    if form == "colors" or options.colors is not None:
        weights = np.array([counts[value] for value in found])
        table = _color_table(
            np.array(found) * (1 if form == "colors" else 0x010101), weights, classes, options,
            name,
        )  # fmt: skip
    else:
        table = _table(stored, found, classes, options, name)
    total: dict[int, int] = {}
    for value, index in zip(found, table.tolist(), strict=True):
        total[index] = total.get(index, 0) + counts[value]
    return total


def _table(
    stored: Stored, found: list[int], classes: int, options: MaskOptions, name: str | Path
) -> np.ndarray:
    """Return the class of each of the values found."""
    known = _meanings(stored, found, classes, options, name)
    if unknown := [value for value in found if value not in known]:
        raise InputError(_unknown_values(name, unknown, found, classes))
    return np.array([known[value] for value in found], np.uint8)


def _meanings(
    stored: Stored, found: list[int], classes: int, options: MaskOptions, name: str | Path
) -> dict[int, int]:
    """Return what each stored value means, as class indices; values it leaves out are unknown."""
    ignored = {IGNORE: IGNORE} if classes > 1 or options.kind == "index" else {}
    if options.values is not None:
        for value, index in options.values.items():
            if index not in range(classes + 1) and index != IGNORE:
                raise InputError(
                    f"`values` maps {value} to {index}, but class indices are 0 to {classes}, or "
                    f"{IGNORE} for pixels that do not count"
                )
        return ignored | dict(options.values)
    if (unset := _unset(found, classes, options)) is not None:
        others = [value for value in found if value != unset]
        return _meanings(stored, others, classes, options, name) | {unset: IGNORE}
    indices = {index: index for index in range(classes + 1)} | ignored
    if options.kind == "instances":
        if classes > 1:
            raise InputError("--mask_kind instances: the things are of one class; name one")
        return {value: int(value != 0) for value in found}
    if options.kind == "index":
        return indices
    if classes > 1:
        grays = [value for value in found if value]
        if not set(found) <= set(indices) and len(grays) == classes and lie_apart(grays):
            return {0: 0} | {value: number for number, value in enumerate(grays, 1)}
        return indices
    if set(found) <= {0, 1}:
        return {0: 0, 1: 1}
    if stored.form == "indices" and 1 in found and set(found) <= {0, 1, IGNORE}:
        return {0: 0, 1: 1, IGNORE: IGNORE}  # a palette, as VOC has it: 255 is void
    return _of_one_class(stored, found, options, name)


def _unset(found: list[int], classes: int, options: MaskOptions) -> int | None:
    """Return the -1, stored as it is or in 16 bits, that marks pixels without a class beside 0."""
    if options.kind in ("auto", "index", "instances") and found[0] == -1 and len(found) > 1:
        return -1
    beside = set(found) - {65535}
    if classes > 1 and len(found) > len(beside) and beside <= set(range(classes + 1)):
        return 65535
    return None


def _of_one_class(
    stored: Stored, found: list[int], options: MaskOptions, name: str | Path
) -> dict[int, int]:
    white = 65535 if found[-1] > 255 else 255
    halved = {value: int(value > white // 2) for value in found}
    if options.kind in ("gray", "alpha"):
        return halved
    if numbers_things(stored.values, found) and found[-1] >= MANY:
        return {value: int(value != 0) for value in found}
    anti_aliased = found[-1] > white // 2 and any(white // 8 < value < white for value in found)
    if anti_aliased and len(found) > 2 and stored.form != "indices":
        grays = [value for value in found if value]
        if len(grays) == 2 and lie_apart(grays) and covers_areas(stored.values, grays[0]):
            listed = ", ".join(map(str, found))
            raise InputError(
                f"{name}: mask holds values {listed}, and {grays[0]} covers areas of its own; name "
                "two classes with --classes A,B, or give --mask_kind gray if only the brighter one "
                "is meant"
            )
        return halved
    return {0: 0, white: 1} if set(found) <= {0, white} else {0: 0, 1: 1}


def lie_apart(grays: Sequence[int]) -> bool:
    """Say whether sorted grays above 0 are so far apart that each may stand for a class."""
    return all(high - low >= APART for low, high in zip((0, *grays), grays, strict=False))


def covers_areas(values: np.ndarray, gray: int) -> bool:
    """Say whether a gray is more than the seam between black and brighter pixels."""
    inside = (values == gray).astype(np.uint8)
    if cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0).any():
        return True
    brighter = cv2.dilate((values > gray).astype(np.uint8), np.ones((3, 3), np.uint8))
    return bool((inside & (1 - brighter)).sum() > inside.sum() / 2)


def numbers_things(values: np.ndarray, found: Sequence[int]) -> bool:
    """Say whether values are a run of integers 0..K (a few may lack), each on flat areas."""
    highest = found[-1]
    shown = len(found) - (found[0] == 0)
    if highest < 2 or found[0] < 0 or shown < 0.9 * highest:
        return False
    return lie_on_areas(values)


def lie_on_areas(values: np.ndarray) -> bool:
    """Say whether most values cover areas; of shades along borders a few do."""
    _, places = np.unique(values, return_inverse=True)
    places = places.reshape(values.shape)
    beside = np.zeros(values.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        equal = values[one] == values[other]
        beside[one] |= equal
        beside[other] |= equal
    foreground = values != 0
    total = np.bincount(places[foreground])
    flat = np.bincount(places[foreground & beside], minlength=len(total))
    shown = total > 0
    return bool((flat > total / 2).sum() >= 0.8 * shown.sum())


def _by_colors(stored: Stored, classes: int, options: MaskOptions, name: str | Path) -> np.ndarray:
    """Give each pixel the class of the nearest named color; black is background if not named."""
    packed = stored.values
    if stored.form != "colors":  # gray
        packed = packed.astype(np.int64).clip(0, 255) * 0x010101
    found, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    table = _color_table(found, counts, classes, options, name)
    return table[places].reshape(packed.shape)


def _color_table(
    found: np.ndarray, counts: np.ndarray, classes: int, options: MaskOptions, name: str | Path
) -> np.ndarray:
    """Return the class of each color; a few pixels of unknown colors are ignored."""
    named = dict(options.colors or {})
    if not named:
        if options.kind == "instances" and classes == 1:
            return (found != 0).astype(np.uint8)
        others = [int(color) for color in found if color]
        if classes > 1 or len(others) != 1 or len(found) != 2:
            raise InputError(_without_names(name, found, counts, classes))
        named = {others[0]: 1}
    named.setdefault(0, 0)
    keys = np.array(list(named), np.int64)
    distances = np.abs(_split(found)[:, None].astype(int) - _split(keys)[None]).max(2)
    far = distances.min(1) > _FAR
    if counts[far].sum() > 0.01 * counts.sum():
        worst = int(found[far][counts[far].argmax()])
        share = 100 * counts[far].max() / counts.sum()
        raise InputError(
            f"{name}: color #{worst:06x} on {share:.1f} % of the pixels is none of those named; "
            f"add it to --colors, as background=#{worst:06x} if it is no class"
        )
    table = np.array([named[int(key)] for key in keys], np.uint8)[distances.argmin(1)]
    table[far] = IGNORE
    return table


def _split(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], 1)


def _without_names(name: str | Path, found: np.ndarray, counts: np.ndarray, classes: int) -> str:
    merged: dict[int, int] = {}  # a JPEG has many shades of each color
    for place in counts.argsort()[::-1][:_MERGED]:
        near = np.abs(_split(found[[place]]).astype(int) - _split(np.array([*merged], np.int64)))
        kept = next((color for color, d in zip(merged, near.max(1), strict=True) if d <= _FAR), -1)
        kept = int(found[place]) if kept < 0 else kept
        merged[kept] = merged.get(kept, 0) + int(counts[place])
    most = sorted(merged.items(), key=lambda item: -item[1])[:6]
    listed = ", ".join(f"#{color:06x} ({100 * n / counts.sum():.1f} %)" for color, n in most)
    things = ", --mask_kind instances where each thing has its own color" if classes == 1 else ""
    return (
        f"{name}: mask is colored, and colors name no classes ({listed}); say which is which "
        f"with --colors crack=#ff0000,other=#00ff00{things}, or save it as an index PNG"
    )


def parse_colors(text: str, classes: Sequence[str]) -> dict[int, int]:
    """Read `crack=#ff0000,background=#ffffff` as class indices by color 0xRRGGBB.

    Raises:
        InputError: no such list, or a name that is no class.
    """
    found: dict[int, int] = {}
    for name, color in color_pairs(text):
        if name.lower() in BACKGROUND:
            found[color] = 0
        elif name.lower() in ("ignore", "void"):
            found[color] = IGNORE
        elif name in classes:
            found[color] = list(classes).index(name) + 1
        else:
            raise InputError(
                f"--colors: '{name}' is none of the classes ({', '.join(classes)}), background or "
                "ignore"
            )
    return found


def color_pairs(text: str) -> list[tuple[str, int]]:
    """Split `crack=#ff0000,pothole=#00ff00` into names and colors 0xRRGGBB.

    Raises:
        InputError: not such a list.
    """
    pairs = []
    for part in text.split(","):
        name, _, color = part.strip().rpartition("=")
        digits = color.strip().removeprefix("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        try:
            if not name.strip() or len(digits) != 6:
                raise ValueError
            pairs.append((name.strip(), int(digits, 16)))
        except ValueError:
            raise InputError(
                f"--colors '{part}': give NAME=#RRGGBB, several with commas between"
            ) from None
    return pairs


def _unknown_values(name: str | Path, unknown: list[int], found: list[int], classes: int) -> str:
    def listed(numbers: list[int]) -> str:
        return ", ".join(map(str, numbers[:12])) + (", ..." if len(numbers) > 12 else "")

    named = "0 (background) and 1 (the class)" if classes == 1 else f"0 (background) to {classes}"
    things = ", or --mask_kind instances where they number things" if classes == 1 else ""
    if classes > 1 and len(found) > 12:  # noise around the grays of classes, as JPEG makes it
        things = ", or the nearest gray of each class with --colors A=#7f7f7f,B=#ffffff"
    lowest = found[0]  # of masks without 0, such as ilastik's, the first may be the background
    rising = {value: min(number, classes) for number, value in enumerate(found)}
    meant = rising | {IGNORE: IGNORE} | {lowest: 0}
    if lowest < 0:
        meant |= {0: 0} | {value: IGNORE for value in found if value < 0}
    example = ", ".join(f"{value}: {meant[value]}" for value in sorted(found)[:4])
    return (
        f"{name}: mask holds values {listed(found)}, but the task's {classes} "
        f"{'class is' if classes == 1 else 'classes are'} {named}, so {listed(unknown)} mean"
        f"{'s' if len(unknown) == 1 else ''} nothing; tell which class each one is ({IGNORE}: not "
        f"counted), such as --mask_values '{{{example}}}'{things}"
    )
