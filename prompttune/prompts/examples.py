"""Examples: images and masks of any accepted kind, read, checked and cut to the canvas."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from prompttune.data.inputs import (
    ImageLike,
    MaskFile,
    MaskLike,
    as_array,
    load_image,
    read_given,
)
from prompttune.prompts.palette import MAX_CLASSES, Palette
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError, warn
from prompttune.utils.normalize import to_tensor
from prompttune.utils.tiling import pad_reflect, resize, resize_nearest, scaled_size

if TYPE_CHECKING:
    from prompttune.data.mask_forms import MaskOptions, Stored


def crop_most_foreground(
    image: Tensor, class_map: Tensor, scale: float, canvas: int
) -> tuple[Tensor, Tensor]:
    """Resize an example by `scale` and cut the window that holds most foreground.

    Of equal windows the one nearest to their mean is cut: a small object stands in the middle.

    Args:
        image: `3 x H x W`, pixel space.
        class_map: `H x W uint8`, or its colors, `3 x H x W` in [0, 1], where background is black.
        scale: canvas pixels an image pixel.
        canvas: side of the window; smaller images are mirrored at their borders.

    Returns:
        `3 x canvas x canvas` and `canvas x canvas`, or `3 x canvas x canvas` of colors.
    """
    size = scaled_size(class_map.shape[-2], class_map.shape[-1], scale)
    image, _ = pad_reflect(resize(image, size), canvas)
    class_map, _ = pad_reflect(resize_nearest(class_map, size), canvas)
    foreground = _foreground(class_map)
    foreground = foreground.any(0) if foreground.dim() == 3 else foreground
    summed = F.pad(foreground.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    inside = (
        summed[canvas:, canvas:] - summed[:-canvas, canvas:]
        - summed[canvas:, :-canvas] + summed[:-canvas, :-canvas]
    )  # fmt: skip
    best = (inside == inside.max()).nonzero()
    off_center = (best - best.double().mean(0)).square().sum(1)
    top, left = best[off_center.argmin()].tolist()
    window = (slice(top, top + canvas), slice(left, left + canvas))
    return image[:, *window].clone(), class_map[..., *window].clone()


def load_examples(
    examples: Sequence[tuple[ImageLike, MaskLike]], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[tuple[Tensor, Tensor]]]:
    """Read examples whose masks hold classes.

    Args:
        examples: pairs of an image and its mask (0 background, 255 ignored).
        classes: names of the foreground classes; None: guessed, see `Prompt.from_examples`.

    Returns:
        The names of the classes, and pairs of `3 x H x W float32` pixels and `H x W uint8` maps.

    Raises:
        InputError: an image that cannot be read, a mask of another size or with values that the
            classes do not name, masks that are all background.
    """
    _check_pairs(examples)
    names, class_maps, _ = read_class_maps([mask for _, mask in examples], classes)
    return names, _paired(examples, class_maps)


def load_pairs(
    examples: Sequence[tuple[ImageLike, MaskLike]], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[tuple[np.ndarray, np.ndarray]]]:
    """Read pairs as `load_examples` does, as `H x W x 3 uint8` images and `H x W uint8` maps.

    A map may be all background.
    """
    _check_pairs(examples)
    names, class_maps, _ = read_class_maps([mask for _, mask in examples], classes)
    return names, _with_images(examples, class_maps)


def load_instances(
    examples: Sequence[tuple[ImageLike, MaskLike]],
) -> list[tuple[Tensor, Tensor]]:
    """Read examples whose masks number instances from 1 to 254; 0 is background, 255 ignored.

    Returns and raises as `load_examples`.
    """
    _check_pairs(examples)
    maps = [
        _load_mask(mask, MAX_CLASSES, f"example {n}, mask")
        for n, (_, mask) in enumerate(examples, 1)
    ]
    return _paired(examples, maps)


def _check_pairs(examples: Sequence[tuple[ImageLike, MaskLike]]) -> None:
    if not examples:
        raise InputError("prompt: no examples; give at least one pair of image and mask")
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in examples):
        raise InputError("prompt: examples must be a list of pairs, [(image, mask), ...]")


def _paired(
    examples: Sequence[tuple[ImageLike, MaskLike]], class_maps: Sequence[np.ndarray]
) -> list[tuple[Tensor, Tensor]]:
    """Load the images, and check that each fits its map and that a map shows something."""
    loaded = _with_images(examples, class_maps)
    pairs = [(to_tensor(image), torch.from_numpy(class_map)) for image, class_map in loaded]
    if not any(_foreground(class_map).any() for _, class_map in pairs):
        called = [_called(mask, "mask", n) for n, (_, mask) in enumerate(examples, 1)]
        raise InputError(
            f"{', '.join(called)}: all background; an example must show what to segment"
        )
    return pairs


def _with_images(
    examples: Sequence[tuple[ImageLike, MaskLike]], class_maps: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Load the images, and check that each fits its map."""
    from prompttune.data.samples import fitted_mask

    images = [load_image(image, f"example {n}, image") for n, (image, _) in enumerate(examples, 1)]
    class_maps = [
        _turned_mask(class_map, image.shape[:2], given)
        for image, class_map, (given, _) in zip(images, class_maps, examples, strict=True)
    ]
    class_maps = [
        fitted_mask(class_map, image.shape[:2], isinstance(mask, MaskFile) and mask.options.resize)
        for image, class_map, (_, mask) in zip(images, class_maps, examples, strict=True)
    ]
    for number, (image, class_map) in enumerate(zip(images, class_maps, strict=True), 1):
        if image.shape[:2] != class_map.shape:
            called = [
                _called(*each, number)
                for each in zip(examples[number - 1], ("image", "mask"), strict=True)
            ]
            sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (image, class_map)]
            raise InputError(
                f"{called[0]} is {sizes[0]} but {called[1]} is {sizes[1]}; make both the same size "
                "(--resize_masks scales masks of the same shape)"
            )
    return list(zip(images, class_maps, strict=True))


def _turned_mask(class_map: np.ndarray, size: tuple[int, int], image: ImageLike) -> np.ndarray:
    """Turn a mask that was drawn before an EXIF tag turned its image sideways, and say so."""
    from prompttune.data.orientation import upright
    from prompttune.data.samples import orientation_in

    if class_map.shape == size or class_map.shape != size[::-1]:
        return class_map
    if not isinstance(image, str | PathLike) or (tag := orientation_in(Path(image))) <= 4:
        return class_map
    warn(f"{image}: is turned upright by its EXIF tag, and its mask, drawn before that, alike")
    return upright(class_map, tag)


def _load_mask(mask: MaskLike, classes: int, called: str) -> np.ndarray:
    """Return any accepted mask as a class map, `H x W uint8`."""
    from prompttune.data.mask_forms import AUTO
    from prompttune.data.masks import class_map_of

    asked = mask.options if isinstance(mask, MaskFile) else AUTO
    stored, options = _stored(mask, classes, called, asked)
    name = mask if isinstance(mask, str | PathLike) else called
    return class_map_of(stored, classes, options, str(name))


def _stored(
    mask: MaskLike, classes: int, called: str, options: "MaskOptions"
) -> tuple["Stored", "MaskOptions"]:
    """Return what any accepted mask holds, and how it is to be understood."""
    from prompttune.data.mask_forms import MaskOptions, read_stored, stored_of_array, stored_of_pil

    if isinstance(mask, str | PathLike | bytes):
        page = mask.page if isinstance(mask, MaskFile) else 0
        return read_given(mask, lambda path: read_stored(path, options, page), called), options
    if isinstance(mask, Image.Image):
        return stored_of_pil(mask, options, called), options
    indices = as_array(mask, called, "H x W class indices")
    # In a file 0, 1, 255 may be an anti-aliased mask as well; an array holds class indices.
    if classes == 1 and options.kind == "auto" and (indices == 1).any() and indices.max() > 1:
        options = MaskOptions(values={0: 0, 1: 1, IGNORE: IGNORE})
    return stored_of_array(indices, options, called), options


def read_class_maps(
    masks: Sequence[MaskLike],
    classes: Sequence[str] | None,
    options: "MaskOptions | None" = None,
) -> tuple[tuple[str, ...], list[np.ndarray], str]:
    """Read the masks of examples, all with one meaning, which is guessed where it is not given.

    Args:
        masks: of any kind that `MaskLike` names.
        classes: names of the foreground classes; None: guessed, see `Prompt.from_examples`.
        options: which kind of masks they are.

    Returns:
        The names of the classes, a map `H x W uint8` for each mask, and in words how they were
        read.

    Raises:
        InputError: a mask that cannot be read, or whose values the classes do not name.
    """
    from prompttune.data.mask_facts import look_at
    from prompttune.data.mask_forms import AUTO
    from prompttune.data.mask_survey import describe_masks, guess_classes, settle
    from prompttune.data.masks import class_map_of

    names = None if classes is None else Palette.of(classes).classes
    count = MAX_CLASSES if names is None else len(names)
    called = [
        str(mask) if isinstance(mask, str | PathLike) else f"example {n}, mask"
        for n, mask in enumerate(masks, 1)
    ]
    first = masks[0]
    asked = options or (first.options if isinstance(first, MaskFile) else AUTO)
    each = [_stored(m, count, c, asked) for m, c in zip(masks, called, strict=True)]
    facts = [look_at(stored, c) for (stored, _), c in zip(each, called, strict=True)]
    files = all(isinstance(mask, str | PathLike | bytes) for mask in masks)
    if names is None:
        names, meaning = guess_classes(facts, asked, files)
        names = Palette.of(names).classes
    else:
        meaning = settle(facts, count, asked, files)
    maps = [
        class_map_of(stored, len(names), meaning if own is asked else own, c)
        for (stored, own), c in zip(each, called, strict=True)
    ]
    return names, maps, describe_masks(facts, names, meaning)


def _foreground(class_map: Tensor) -> Tensor:
    return (class_map != 0) & (class_map != IGNORE)


def _called(item: Any, kind: str, number: int) -> str:
    """Name an image or mask in a message: its path, or which example it belongs to."""
    return str(item) if isinstance(item, str | PathLike) else f"example {number}, {kind}"


def shows_foreground(mask: MaskLike, classes: int) -> bool:
    """Say whether a mask shows any of its classes.

    Raises:
        InputError: it cannot be read, or has values that the classes do not name.
    """
    class_map = _load_mask(mask, classes, "mask")
    return bool(((class_map != 0) & (class_map != IGNORE)).any())
