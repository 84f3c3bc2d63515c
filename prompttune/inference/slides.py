"""Whole-slide images of microscopes, read by rows at their full resolution (tiffslide)."""

from pathlib import Path
from typing import Any

import numpy as np

from prompttune.data.reading import ImageOptions, picture_of
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SLIDES


def is_slide(path: Path) -> bool:
    """Say by its name whether a file is a whole-slide image."""
    return path.suffix.lower() in SLIDES


class SlideRows:
    """A slide that is read by rows, as `RasterRows` reads rasters.

    Args:
        path: of the slide.
        options: bands and stretch; slides are RGB of 8 bits.

    Raises:
        InputError: tiffslide is not installed, or the slide cannot be read.
    """

    nodata: float | None = None

    def __init__(self, path: Path, options: ImageOptions) -> None:
        self.path, self._options = path, options
        self._slide = _opened(path)
        self.width, self.height = self._slide.dimensions

    def read(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows, `h x W x 3 uint8`, and None: a slide holds something everywhere."""
        try:
            size = self.width, bottom - top
            numbers = self._slide.read_region((0, top), 0, size, as_array=True)
        except Exception as error:  # decoders of many kinds raise what they like
            raise InputError(f"{self.path}: cannot be read ({error})") from None
        return picture_of(np.asarray(numbers), self.path, self._options).pixels, None

    def profile(self) -> dict[str, Any]:
        """Return what a result takes over: its size; a slide has no place on earth."""
        from rasterio.transform import Affine

        return {
            "width": self.width, "height": self.height, "crs": None, "transform": Affine.identity(),
        }  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


def _opened(path: Path) -> Any:
    try:
        import rasterio  # noqa: F401  # writes the result
        from tiffslide import TiffSlide
    except ImportError as error:
        raise InputError(
            f"{path}: slides need a further package ({error.name}); "
            "pip install prompttune[geo,slides]"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return TiffSlide(path)
    except Exception as error:  # of tifffile and others, by kinds of damage
        raise InputError(f"{path}: is no whole-slide image, or is damaged ({error})") from None
