"""The answer for one image: classes and scores, to save, to look at, or as COCO results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from prompttune.data.inputs import channel_axes
from prompttune.outputs.drawing import index_image, overlay
from prompttune.prompts.composition import calibration_of
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.prompts.composition import Composition


BY_HAND = "this result was made by hand, without its image and prompt; use one of a Segmenter"


@dataclass(frozen=True, eq=False)
class Result:
    """The answer for one image, at the image's own size."""

    classes: np.ndarray
    """`H x W uint8`: 0 background, i the prompt's `palette.classes[i - 1]`."""
    scores: np.ndarray
    """`C x H x W float32` in [0, 1], one plane a foreground class."""
    image: np.ndarray | None = field(default=None, repr=False)
    """What was segmented, `H x W x 3 uint8`."""
    prompt: "Prompt | Composition | None" = field(default=None, repr=False)
    """What it was segmented with."""
    unlikeness: float | None = field(default=None, repr=False)
    """How unlike the image is to those that the key was learned from, at least 0; above 1 it does
    not count as one of them. None where that is not known."""

    def __repr__(self) -> str:
        height, width = self.classes.shape
        names = self.prompt.palette.classes if self.prompt else range(1, len(self.scores) + 1)
        shares = [(self.classes == index).mean() for index, _ in enumerate(names, 1)]
        listed = (f"{name} {share:.1%}" for name, share in zip(names, shares, strict=True))
        return f"Result({height} x {width}; {', '.join(listed)})"

    @property
    def palette(self) -> Palette:
        """The names and colors of the classes.

        Raises:
            InputError: a result that was made by hand.
        """
        if self.prompt is None:
            raise InputError(BY_HAND)
        return self.prompt.palette

    @property
    def scales(self) -> tuple[float | None, ...]:
        """Canvas pixels an image pixel at which the prompt, or each one of a composition, saw it.

        None: fitted whole to the canvas.

        Raises:
            InputError: a result that was made by hand.
        """
        if self.prompt is None:
            raise InputError(BY_HAND)
        return tuple(part.known_scale for part in self.prompt.parts)

    @property
    def in_domain(self) -> bool | None:
        """Whether the image is like those that the key was learned from; None: not known.

        Examples, and keys that keep no summary of their training images, do not tell.
        """
        return None if self.unlikeness is None else self.unlikeness <= 1

    @cached_property
    def confidence(self) -> np.ndarray | None:
        """The probability that each pixel's class is right, `H x W float32` in [0, 1].

        As the key's validation images taught; on images unlike them (`in_domain`) it is too high.
        None where nothing is known: with examples, and with keys that were composed by hand.
        """
        calibration, groups = self._calibration()
        if calibration is None:
            return None
        return calibration.confidence(self.scores, self.classes, groups)

    @cached_property
    def expected_dice(self) -> float | None:
        """The Dice that the answer can be expected to have, in [0, 1].

        None where nothing is known, as for `confidence`, and where nothing was found.
        """
        calibration, _ = self._calibration()
        return None if calibration is None else calibration.expected_dice(self.scores, self.classes)

    def _calibration(self) -> tuple[Calibration | None, list[int]]:
        return calibration_of(self.prompt) if self.prompt is not None else (None, [])

    def to_xarray(self, like: Any = None) -> Any:
        """Return the class map as an xarray `DataArray`, with the coordinates of what was given.

        Args:
            like: the `DataArray` that was segmented, its channels first or last; None: axes y and x
                without coordinates.

        Returns:
            `H x W uint8`, named `classes`; the attribute `classes` lists the names from 1 on.

        Raises:
            InputError: xarray is not installed, or `like` has another size.
        """
        from prompttune.inference.result import class_array

        return class_array(self.classes, self.palette.classes, like)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the class map as an index PNG with the palette's colors, whole or not at all.

        Args:
            path: of the file, `.png`; missing folders are made.

        Returns:
            The path.

        Raises:
            InputError: another suffix.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: class maps are saved as PNG; let the name end in .png")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, index_image(self.classes, self.palette))
        return path

    def overlay(self) -> Image.Image:
        """Return the image with the classes' colors over it, half transparent.

        Returns:
            A PIL image of mode RGB, as large as the image that was segmented.

        Raises:
            InputError: a result that was made by hand.
        """
        if self.image is None:
            raise InputError(BY_HAND)
        return overlay(self.image, self.classes, self.palette)

    def to_coco(self, image_id: int | str = 0, min_area: int = 16) -> list[dict[str, Any]]:
        """Return the connected objects in COCO's result format, masks as compressed run lengths.

        Args:
            image_id: what COCO shall call the image.
            min_area: smaller objects, in pixels, are left out.

        Returns:
            One dict an object, with `image_id`, `category_id` (1 is the first class),
            `segmentation`, `bbox` and `score`.
        """
        from prompttune.outputs.instances import coco_results, find_instances

        one_class = isinstance(self.prompt, Prompt) and self.prompt.instance_of is not None
        return coco_results(find_instances(self, min_area, one_class), image_id)


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
