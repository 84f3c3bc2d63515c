"""Images and masks as a notebook has them: which kinds are accepted, and how they become arrays."""

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from prompttune.utils.errors import InputError, warn

if TYPE_CHECKING:
    from prompttune.data.mask_forms import MaskOptions
    from prompttune.data.reading import ImageOptions, Picture


ImageLike = str | PathLike[str] | bytes | Image.Image | np.ndarray | Tensor
"""A path, the bytes of an image file, a PIL image (turned upright by its EXIF tag), an array
`H x W`, `H x W x 1|3|4` or `1|3|4 x H x W`, an xarray `DataArray` with an axis called band or
channel, or a tensor `H x W` or `1|3|4 x H x W`: RGB, `uint8`, `uint16` or float
in [0, 1]."""
MaskLike = ImageLike
"""A path, the bytes of a mask file, a PIL image, or class indices `H x W` as an array or tensor."""


Read = TypeVar("Read")


def read_given(
    item: str | PathLike[str] | bytes, read: Callable[[Path], Read], called: str
) -> Read:
    """Read a file that is given by its path, or as its bytes.

    Args:
        item: the path, or the bytes.
        read: reads a file.
        called: names bytes in messages.

    Raises:
        InputError: a URL, or as `read` does.
    """
    if not isinstance(item, bytes):
        text = str(item)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) and not Path(item).exists():
            raise InputError(f"{text}: is a URL; download the file first and give its path")
        return read(Path(item))
    # By way of a file, since readers of 16-bit PNG and TIFF want one: bytes then mean the same.
    with TemporaryDirectory(prefix="prompttune-") as folder:
        path = Path(folder) / "image"
        path.write_bytes(item)
        try:
            return read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), called)) from None


def as_array(item: Any, called: str, wanted: str) -> np.ndarray:
    """Return an array, or a tensor as an array whose channels come last.

    Args:
        item: an array `H x W` or `H x W x C`, or a tensor `H x W` or `C x H x W`.
        called: names it in messages.
        wanted: the array that messages ask for.

    Raises:
        InputError: anything else, or something empty.
    """
    if isinstance(item, Tensor):
        item = _from_tensor(item, called)
    if hasattr(item, "dims") and hasattr(item, "transpose") and hasattr(item, "values"):
        item = _from_xarray(item, called)
    elif isinstance(item, np.ndarray) and item.ndim == 3 and _channels_first(item.shape):
        item = np.moveaxis(item, 0, -1)
    if not isinstance(item, np.ndarray):
        kinds = f"a path, bytes, a PIL image, a tensor or an array {wanted}"
        raise InputError(f"{called}: {type(item).__name__} given; give {kinds}")
    if item.ndim not in (2, 3) or 0 in item.shape:
        raise InputError(f"{called}: array of {_shape(item)}; give {wanted}")
    return item


_CHANNELS = frozenset({"band", "bands", "channel", "channels", "c", "rgb", "variable"})


def channel_axes(dims: Iterable[Hashable]) -> frozenset[Hashable]:
    """Return those of an xarray array's axes whose names say that they are channels."""
    return frozenset(name for name in dims if str(name).lower() in _CHANNELS)


def _from_xarray(item: Any, called: str) -> np.ndarray:
    """Return the numbers of an xarray `DataArray`, the axis that its name calls channels last."""
    named = [name for name in item.dims if name in channel_axes(item.dims)]
    if len(item.dims) == 3 and not named:
        listed = ", ".join(map(str, item.dims))
        raise InputError(f"{called}: none of the axes {listed} is called band or channel")
    others = [name for name in item.dims if name not in named]
    return np.asarray(item.transpose(*others, *named).values)


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Say whether only the first axis can be that of 1, 3 or 4 channels."""
    return shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4) and min(shape[1:]) > 4


def to_integers(pixels: np.ndarray, called: str) -> np.ndarray:
    """Return float pixels in [0, 1] as `uint8`; pixels of another type stay as they are.

    Raises:
        InputError: floats beyond [0, 1], or that are not finite: their range is anybody's guess.
    """
    if not np.issubdtype(pixels.dtype, np.floating):
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # so also where one is not finite
        raise InputError(
            f"{called}: {pixels.dtype} pixels from {low:g} to {high:g}; "
            "scale them to [0, 1], or give uint8"
        )
    return (pixels * 255).round().astype(np.uint8)


def _from_tensor(tensor: Tensor, called: str) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.dim() == 4:
        raise InputError(
            f"{called}: tensor of {_shape(tensor)}; give one image at a time, or list(batch)"
        )
    if tensor.dim() == 3:
        if len(tensor) > 4:
            raise InputError(f"{called}: tensor of {_shape(tensor)}; the channels come first")
        tensor = tensor.movedim(0, -1)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _shape(array: np.ndarray | Tensor) -> str:
    return " x ".join(map(str, array.shape)) or "no size"


@dataclass(frozen=True)
class ImageFile(PathLike[str]):
    """An image file that is read in another way than by itself."""

    path: Path
    options: "ImageOptions"
    page: int = 0

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__


@dataclass(frozen=True)
class MaskFile(PathLike[str]):
    """A mask file whose values are understood in another way than by themselves."""

    path: Path
    options: "MaskOptions"
    page: int = 0

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__


def load_image(
    image: ImageLike, called: str = "image", options: "ImageOptions | None" = None
) -> np.ndarray:
    """Return any accepted image as `H x W x 3 uint8`.

    Args:
        image: of any kind that `ImageLike` names; gray, RGBA and 16-bit arrays are converted as
            files are.
        called: names an image that has no path in messages.
        options: bands and stretch. Arrays of one or three channels are red, green, and blue
            already: bands are taken of others. Floats in [0, 1] are a picture already, unless the
            stretch itself lies in that range.

    Raises:
        InputError: it cannot be read, or is none of these.
    """
    if _is_picture(image):
        return np.array(image)  # a copy: streams may fill one array again and again
    from prompttune.data.reading import AS_STORED, rgb_from_pil

    options = options or AS_STORED
    if isinstance(image, str | PathLike | bytes):
        pixels = _read_image(image, called, options)
    elif isinstance(image, Image.Image):
        pixels = rgb_from_pil(image, called, options)
    else:
        array = as_array(image, called, "H x W x 3 uint8")
        pixels = _read_array(array, called, options)
    return np.require(pixels, requirements="W")  # torch takes no read-only array


def _is_picture(image: Any) -> bool:
    """Say whether this is `H x W x 3 uint8`, so that nothing is left to be chosen or converted."""
    return (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size > 0
    )


def _read_array(array: np.ndarray, called: str, options: "ImageOptions") -> np.ndarray:
    """Turn numbers into a picture, by a stretch where they are no picture yet."""
    from prompttune.data.reading import rgb_from_array
    from prompttune.data.stretch import Stretch

    channels = array.shape[2] if array.ndim == 3 else 1
    if channels > 4 and options.bands is None:
        shape = " x ".join(map(str, array.shape))
        raise InputError(f"{called}: array of {shape}; the colors come last, H x W x 3")
    if channels in (1, 3):
        options = replace(options, bands=None)
    if np.issubdtype(array.dtype, np.floating) and options.stretch not in (None, "auto", "full"):
        inside = float(array.min()) >= 0 and float(array.max()) <= 1
        if options.stretch == "image":
            meant = not inside
        else:
            meant = not inside or Stretch.parse(options.stretch).high <= 1
        if meant:
            return rgb_from_array(array, called, options)
    return rgb_from_array(to_integers(array, called), called, options)


def _read_image(
    image: str | PathLike[str] | bytes, called: str, options: "ImageOptions"
) -> np.ndarray:
    """Read an image file, given by its path or as its bytes; an `ImageFile` has its own options."""
    from prompttune.data.decoding import page_count
    from prompttune.data.reading import read_picture, tell_stretch

    page = 0
    if isinstance(image, ImageFile):
        options, page = image.options, image.page

    def read(path: Path) -> "Picture":
        if not isinstance(image, ImageFile) and (pages := page_count(path)) > 1:
            where = called if isinstance(image, bytes) else str(image)
            warn(f"{where}: the first of {pages} pages is read; prompttune predict does all")
        return read_picture(path, options, page)

    picture = read_given(image, read, called)
    tell_stretch(called if isinstance(image, bytes) else str(image), picture, options)
    return picture.pixels
