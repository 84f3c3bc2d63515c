"""Rasters of any size, local or over HTTP: read, segmented and written by windows (rasterio)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prompttune.data.huge_images import is_huge
from prompttune.data.reading import ImageOptions, picture_of
from prompttune.data.stretch import common_stretch, is_narrow
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.slides import SlideRows, is_slide
from prompttune.inference.sliding_window import ALL_FLIPS, UNFLIPPED
from prompttune.inference.strips import StripPart, own_rows
from prompttune.outputs.raster_files import RasterWriter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError, warn
from prompttune.utils.image_files import is_tiff_name
from prompttune.utils.locking import alone_in

LARGE = 64_000_000
"""A TIFF of more pixels is segmented by windows."""
STEP = 256
CACHE = 2**28
"""Bytes of tiles that GDAL keeps; left to itself it takes a twentieth of the machine's memory."""
_LOOKED = 1024
"""Side of the small view of a deep raster that chooses its stretch."""


def url_of(path: Path) -> str:
    """Return a path as GDAL takes it; `Path` makes one slash of a URL's two."""
    return re.sub(r"^(https?):/+", r"\1://", str(path))


def is_large(path: Path) -> bool:
    """Say whether a file is segmented by windows: a URL, a slide, what would fill much memory."""
    if is_slide(path) or is_huge(path):
        return True
    if not is_tiff_name(path):
        return False
    if url_of(path).startswith(("http://", "https://")):
        return True
    if not path.is_file():
        return False
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            return bool(page.imagewidth * page.imagelength > LARGE)
    except Exception:  # reading it will say what is wrong
        return False


class RasterRows:
    """A raster that is read by rows, as `read_image` reads whole ones.

    A deep one is shown by one range throughout: the one that was asked for, else that of a small
    view of it.

    Args:
        path: a file, or a URL of a cloud-optimized GeoTIFF.
        options: bands and stretch.

    Raises:
        InputError: rasterio is not installed, or the raster cannot be read.
    """

    def __init__(self, path: Path, options: ImageOptions) -> None:
        self.path = path
        self._raster = _opened(path)
        self.height, self.width = self._raster.height, self._raster.width
        count = self._raster.count
        self._bands = options.bands or ((1, 2, 3) if count >= 3 else (1,))
        if max(self._bands) > count:
            raise InputError(f"{path}: has {count} bands; --bands takes one of them or three")
        self.nodata = self._raster.nodata
        self._options = replace(options, bands=None, stretch=self._stretch(options))

    def _stretch(self, options: ImageOptions) -> str | None:
        """Choose one range for the whole raster."""
        dtype = np.dtype(self._raster.dtypes[0])
        if options.stretch not in (None, "auto", "image") or dtype == np.uint8:
            return options.stretch if dtype != np.uint8 else None
        factor = max(1, max(self.height, self.width) // _LOOKED)
        shape = len(self._bands), self.height // factor, self.width // factor
        small = self._raster.read(self._bands, out_shape=shape)
        if self.nodata is not None:
            small = small[small != self.nodata]
        if options.stretch is None and dtype == np.uint16 and not is_narrow(small):
            return "full"
        found = common_stretch([small])
        if found is not None:
            shown = found.replace(",", " to ")
            warn(f"{self.path}: {dtype} numbers, shown from {shown} (--stretch sets it)")
        return found

    def read(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rows, `h x W x 3 uint8`, and where they hold nothing, `h x W bool`, or None."""
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        try:
            window = Window(0, top, self.width, bottom - top)
            numbers = self._raster.read(self._bands, window=window)
        except RasterioError as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from None
        numbers = np.moveaxis(numbers, 0, -1)
        picture = picture_of(numbers, self.path, self._options, self.nodata)
        return picture.pixels, picture.empty

    def profile(self) -> dict[str, Any]:
        """Return what a result of the same size takes over: place, size, coordinate system."""
        raster = self._raster
        return {
            "width": self.width, "height": self.height, "crs": raster.crs,
            "transform": raster.transform,
        }  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self._raster.close()


def _opened(path: Path) -> Any:
    import warnings

    try:
        import rasterio
    except ImportError:
        raise InputError(
            f"{path}: so large a raster needs a further package; pip install prompttune[geo]"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
                return rasterio.open(url_of(path))
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path}: cannot be opened ({error})") from None


def score_strips(
    segmenter: Segmenter,
    prompt: Prompt | Composition,
    rows: RasterRows | SlideRows,
    overlap: float = 0.25,
    flips: bool = False,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield the scores of a raster from top to bottom: a row's number, and `C x h x W float32`.

    They are what `Segmenter.predict` gives for the whole, but for rounding.

    Args:
        segmenter: with the prompt's backbone.
        prompt: with scales that are known.
        rows: the raster.
        overlap: as in `Segmenter.predict`.
        flips: as in `Segmenter.predict`.

    Raises:
        InputError: a prompt that sees images whole, rows that cannot be read.
    """
    canvas, views = segmenter.canvas(None), ALL_FLIPS if flips else UNFLIPPED
    parts = [StripPart(rows, part, canvas, overlap, views) for part in prompt.parts]
    streams = []
    for part in parts:
        batch = segmenter.batch_size(len(part.prompt.images), part.canvas)
        pieces = part.score_rows(segmenter.answer, batch)  # type: ignore[arg-type]
        streams.append(own_rows(part, pieces, rows.height, rows.width, STEP))
    for number, each in enumerate(zip(*streams, strict=True)):
        yield number * STEP, torch.cat(each)


def segment_raster(
    segmenter: Segmenter,
    prompt: Prompt | Composition,
    path: Path,
    mask: Path,
    options: ImageOptions,
    overlap: float = 0.25,
    flips: bool = False,
) -> dict[str, int]:
    """Segment a raster by windows and write its class map, and a small overlay, as GeoTIFF.

    Memory does not grow with its height. Files appear when they are whole.

    Args:
        segmenter: with the prompt's backbone.
        prompt: that answers.
        path: of the raster, or its URL.
        mask: file of the class map, `.tif`.
        options: bands and stretch.
        overlap: as in `Segmenter.predict`.
        flips: as in `Segmenter.predict`.

    Returns:
        The pixels of each class.

    Raises:
        InputError: as `RasterRows` and `score_strips`.
    """
    prompt = segmenter.scaled(prompt)
    segmenter.check(prompt)
    rows = SlideRows(path, options) if is_slide(path) else RasterRows(path, options)
    import rasterio

    counts = dict.fromkeys(prompt.palette.classes, 0)
    try:
        with (
            alone_in(mask.parent),
            rasterio.Env(GDAL_CACHEMAX=CACHE),
            RasterWriter(mask, rows.profile(), prompt.palette, rows.nodata) as writer,
        ):
            for top, scores in score_strips(segmenter, prompt, rows, overlap, flips):
                class_map = prompt.decide(scores).numpy()
                pixels, empty = rows.read(top, top + len(class_map))
                if empty is not None and writer.nodata is not None:
                    class_map = np.where(empty, np.uint8(writer.nodata), class_map)
                for number, name in enumerate(counts, 1):
                    counts[name] += int(np.count_nonzero(class_map == number))
                writer.add(top, class_map, pixels)
    finally:
        rows.close()
    return counts
