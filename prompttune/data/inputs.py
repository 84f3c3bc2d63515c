"""Images and masks as a notebook has them: which kinds are accepted, and how they become arrays."""

import re
from collections.abc import Callable, Hashable, Iterable
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from prompttune.utils.errors import InputError

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
