"""Examples: images and masks of any accepted kind, read, checked and cut to the canvas."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from prompttune.errors import InputError
from prompttune.inputs import ImageLike as ImageLike
from prompttune.inputs import MaskLike as MaskLike
from prompttune.inputs import as_array, read_given, to_integers
from prompttune.palette import IGNORE, MOST_CLASSES, Palette
from prompttune.pixels import to_tensor
from prompttune.tiling import pad_reflect, resize, resize_nearest, scaled_size


def crop_most_foreground(
    image: Tensor, class_map: Tensor, scale: float, canvas: int
) -> tuple[Tensor, Tensor]:
    """Resize an example by `scale` and cut the window that holds most foreground.

    Of equal windows the one nearest to their mean is cut: a small object stands in the middle.

    Args:
        image: `3 x H x W`, pixel space.
        class_map: `H x W uint8`, or its colours, `3 x H x W` in [0, 1], where background is black.
        scale: canvas pixels an image pixel.
        canvas: side of the window; smaller images are mirrored at their borders.

    Returns:
        `3 x canvas x canvas` and `canvas x canvas`, or `3 x canvas x canvas` of colours.
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
    off_centre = (best - best.double().mean(0)).square().sum(1)
    top, left = best[off_centre.argmin()].tolist()
    window = (slice(top, top + canvas), slice(left, left + canvas))
    return image[:, *window].clone(), class_map[..., *window].clone()


def load_image(image: ImageLike, called: str = "image") -> np.ndarray:
    """Return any accepted image as `H x W x 3 uint8`.

    Args:
        image: of any kind that `ImageLike` names; grey, RGBA and 16-bit arrays are converted as
            files are.
        called: names an image that has no path in messages.

    Raises:
        InputError: it cannot be read, or is none of these.
    """
    from prompttune.data.reading import read_image, rgb_from_array, rgb_from_pil

    if isinstance(image, str | PathLike | bytes):
        pixels = read_given(image, read_image, called)
    elif isinstance(image, Image.Image):
        pixels = rgb_from_pil(image, called)
    else:
        array = as_array(image, called, "H x W x 3 uint8")
        if array.ndim == 3 and array.shape[2] > 4:
            shape = " x ".join(map(str, array.shape))
            raise InputError(f"{called}: array of {shape}; the colours come last, H x W x 3")
        pixels = rgb_from_array(to_integers(array, called), called)
    return np.require(pixels, requirements="W")  # torch takes no read-only array


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
    names, class_maps = _class_maps([mask for _, mask in examples], classes)
    return names, _paired(examples, class_maps)


def load_pairs(
    examples: Sequence[tuple[ImageLike, MaskLike]], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[tuple[np.ndarray, np.ndarray]]]:
    """Read pairs as `load_examples` does, as `H x W x 3 uint8` images and `H x W uint8` maps.

    A map may be all background.
    """
    _check_pairs(examples)
    names, class_maps = _class_maps([mask for _, mask in examples], classes)
    return names, _with_images(examples, class_maps)


def load_instances(
    examples: Sequence[tuple[ImageLike, MaskLike]],
) -> list[tuple[Tensor, Tensor]]:
    """Read examples whose masks number instances from 1 to 254; 0 is background, 255 ignored.

    Returns and raises as `load_examples`.
    """
    _check_pairs(examples)
    maps = [
        _load_mask(mask, MOST_CLASSES, f"example {n}, mask")
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
    images = [load_image(image, f"example {n}, image") for n, (image, _) in enumerate(examples, 1)]
    for number, (image, class_map) in enumerate(zip(images, class_maps, strict=True), 1):
        if image.shape[:2] != class_map.shape:
            called = [
                _called(*each, number)
                for each in zip(examples[number - 1], ("image", "mask"), strict=True)
            ]
            sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (image, class_map)]
            raise InputError(
                f"{called[0]} is {sizes[0]} but {called[1]} is {sizes[1]}; make both the same size"
            )
    return list(zip(images, class_maps, strict=True))


def _load_mask(mask: MaskLike, classes: int, called: str) -> np.ndarray:
    """Return any accepted mask as a class map, `H x W uint8`."""
    from prompttune.data.reading import class_map_from_pil, class_map_from_values, read_mask

    if isinstance(mask, str | PathLike | bytes):
        return read_given(mask, lambda path: read_mask(path, classes), called)
    if isinstance(mask, Image.Image):
        return class_map_from_pil(mask, classes, name=called)
    indices = as_array(mask, called, "H x W class indices")
    indices = indices.astype(np.uint8) if indices.dtype == bool else indices
    # In a file 0, 1, 255 may be an anti-aliased mask as well; an array holds class indices.
    values = {0: 0, 1: 1, IGNORE: IGNORE} if classes == 1 and (indices == 1).any() else None
    return class_map_from_values(indices, classes, values, called)


def _class_maps(
    masks: Sequence[MaskLike], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Load the masks and say which classes they hold, guessing them where they are not named."""
    names = None if classes is None else Palette.of(classes).classes
    count = MOST_CLASSES if names is None else len(names)
    loaded = [_load_mask(mask, count, f"example {n}, mask") for n, mask in enumerate(masks, 1)]
    if names is not None:
        return names, loaded
    found = {int(value) for class_map in loaded for value in np.unique(class_map)} - {0}
    if len(found) <= 1:
        return ("foreground",), [(class_map > 0).astype(np.uint8) for class_map in loaded]
    if IGNORE in found and max(found - {IGNORE}) > 127:  # grey levels: anti-aliased, or a JPEG
        return ("foreground",), [(class_map > 127).astype(np.uint8) for class_map in loaded]
    return tuple(str(index) for index in range(1, max(found - {IGNORE}) + 1)), loaded


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
