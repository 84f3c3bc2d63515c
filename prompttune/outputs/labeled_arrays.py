"""Class maps as xarray's arrays, with the coordinates of the array that was segmented."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prompttune.data.inputs import channel_axes
from prompttune.utils.errors import InputError


def class_array(class_map: np.ndarray, classes: Sequence[str], like: Any = None) -> Any:
    """Return a class map `H x W uint8` as a `DataArray`.

    Args:
        class_map: the answer.
        classes: names of the classes, from 1 on.
        like: the `DataArray` that was segmented; None: without coordinates.

    Raises:
        InputError: xarray is not installed, or `like` is none or of another size.
    """
    try:
        import xarray as xr
    except ImportError:
        raise InputError("to_xarray needs a further package; pip install xarray") from None
    attributes = {"classes": list(classes)}
    if like is None:
        return xr.DataArray(class_map, dims=("y", "x"), name="classes", attrs=attributes)
    if not isinstance(like, xr.DataArray):
        raise InputError(f"to_xarray: {type(like).__name__} given; give the DataArray itself")
    channels = channel_axes(like.dims)
    dims = [name for name in like.dims if name not in channels]
    size = tuple(like.sizes[name] for name in dims)
    if size != class_map.shape:
        raise InputError(f"to_xarray: the array has {size} pixels, the answer {class_map.shape}")
    kept = {name: values for name, values in like.coords.items() if not channels & set(values.dims)}
    attributes |= {name: like.attrs[name] for name in ("crs", "transform") if name in like.attrs}
    return xr.DataArray(class_map, kept, dims, "classes", attributes)
