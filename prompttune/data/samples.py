"""One image of a data set: its files, and what they hold once they are read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prompttune.data.annotations.things import Painting
from prompttune.data.decoding import opened
from prompttune.data.mask_forms import AUTO, MaskOptions
from prompttune.data.orientation import orientation_in_header, upright
from prompttune.data.reading import (
    AS_STORED,
    ImageOptions,
    read_field_of_view,
    read_image,
    read_mask,
)
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import UPRIGHT, is_tiff_name

OTHER_SHAPE = 0.02
"""A mask whose sides differ by more than this share from its image's is another image's."""


@dataclass(frozen=True)
class Sample:
    """The files of one image: its mask, and its field of view where it has one."""

    name: str
    image: Path
    mask: Path
    """Or the JSON file that annotates it."""
    field_of_view: Path | None = None
    painting: Painting | None = field(default=None, compare=False, repr=False)
    """What the JSON file says of the image; it is painted when the sample is loaded."""
    page: int = 0
    """Of image and mask, where these are stacks."""
    stack: str | None = None
    """What all slices of a stack share; None: the image is no slice."""
    layers: tuple[tuple[Path, int], ...] | None = None
    """Masks of one class each, with its number; where they overlap the later class lies above."""


@dataclass(frozen=True)
class LoadedSample:
    """One image (`H x W x 3 uint8`), class map (`H x W uint8`) and field of view (`H x W bool`).

    Class map: 0 background, i the i-th class, 255 ignore. It does not have the field of view in it.
    """

    name: str
    image: np.ndarray
    class_map: np.ndarray
    field_of_view: np.ndarray | None = None


def load_sample(
    sample: Sample,
    classes: int,
    values: Mapping[int, int] | None = None,
    masks: MaskOptions = AUTO,
    images: ImageOptions = AS_STORED,
) -> LoadedSample:
    """Read the files of a sample; `classes`, `values` and `masks` as `read_mask` takes them.

    Raises:
        InputError: a file that cannot be read, a mask or field of view of another size, outlines
            that do not fit.
    """
    image = read_image(sample.image, images, sample.page)
    if sample.painting is not None:
        return LoadedSample(sample.name, image, _painted(sample, (image.shape[0], image.shape[1])))
    if sample.layers is not None:
        class_map = read_layers(sample, (image.shape[0], image.shape[1]), masks.resize)
    else:
        class_map = read_mask(sample.mask, classes, values, masks, sample.page)
        if masks.turned:
            class_map = upright(class_map, orientation_in(sample.image))
        class_map = fitted_mask(class_map, image.shape[:2], masks.resize)
        _check_size(sample.image, image, sample.mask, class_map)
    if sample.field_of_view is None:
        return LoadedSample(sample.name, image, class_map)
    field_of_view = read_field_of_view(sample.field_of_view)
    _check_size(sample.image, image, sample.field_of_view, field_of_view)
    return LoadedSample(sample.name, image, class_map, field_of_view)


def _painted(sample: Sample, size: tuple[int, int]) -> np.ndarray:
    """Paint a class map; annotations made before EXIF turned the image sideways are turned too."""
    assert sample.painting is not None
    height, width = size
    if height != width and sample.painting.annotation.size == (height, width):
        tag = orientation_in(sample.image)
        if tag > 4:
            return upright(sample.painting.class_map((width, height)), tag)
    return sample.painting.class_map(size)


def fitted_mask(mask: np.ndarray, size: tuple[int, int], resize: bool) -> np.ndarray:
    """Scale a mask `H x W` to `size` where that is wanted and its shape is the same, else not.

    Each pixel keeps a value that was there before.
    """
    (height, width), (own_height, own_width) = size, mask.shape
    off = abs(height * own_width - width * own_height)
    if not resize or mask.shape == size or off > OTHER_SHAPE * width * own_height:
        return mask
    rows = (2 * np.arange(height) + 1) * own_height // (2 * height)
    columns = (2 * np.arange(width) + 1) * own_width // (2 * width)
    return mask[rows[:, None], columns]


def read_layers(sample: Sample, size: tuple[int, int], resize: bool = False) -> np.ndarray:
    """Read the masks of one class each of an image of height and width `size`; `H x W uint8`.

    Raises:
        InputError: a mask that cannot be read, or of another size.
    """
    class_map = np.zeros(size, np.uint8)
    for path, number in sample.layers or ():
        mask = fitted_mask(read_mask(path, 1), size, resize)
        if mask.shape != size:
            sizes = [f"{width} x {height}" for height, width in (size, mask.shape)]
            raise InputError(
                f"{sample.image} has {sizes[0]} pixels (width x height), but {path} has "
                f"{sizes[1]}; they must have equal sizes"
            )
        class_map[mask == 1] = number
    return class_map


def _check_size(image: Path, pixels: np.ndarray, other: Path, mask: np.ndarray) -> None:
    if pixels.shape[:2] != mask.shape:
        sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (pixels, mask)]
        raise InputError(
            f"{image} has {sizes[0]} pixels (width x height), but {other} has {sizes[1]}; "
            "they must have equal sizes (--resize_masks scales masks of the same shape)"
        )


def hash_data(entries: Mapping[str, Path | bytes]) -> str:
    """Return the SHA-256 (hex) of named contents: a file, or the raw bytes of a generated array.

    It equals `LC_ALL=C sort NAMES | xargs sha256sum | sha256sum` run in the data's folder.
    """
    total = hashlib.sha256()
    for name in sorted(entries, key=str.encode):
        entry = entries[name]
        if isinstance(entry, Path):
            with entry.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            digest = hashlib.sha256(entry).hexdigest()
        total.update(f"{digest}  {name}\n".encode())
    return total.hexdigest()


def orientation_in(path: Path) -> int:
    """Return by which EXIF tag, 1..8, reading an image file turns it upright; 1: by none."""
    if is_tiff_name(path) or path.suffix.lower() in UPRIGHT:
        return 1
    try:
        with opened(path) as image:
            return 1 if image is None else orientation_in_header(path, image)
    except InputError:  # reading it will say what is wrong
        return 1
