"""Open image files and return the numbers they store, page by page, or say in one line why not."""

import logging
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from prompttune.data.opencv import decode_image
from prompttune.data.orientation import ORIENTATION as ORIENTATION
from prompttune.data.orientation import orientation_in_header, upright
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import FRAMES, SLIDES
from prompttune.volumes.opening import is_volume, volume_of

MAX_PIXELS = 100_000_000

_NODATA = 42113  # GDAL's tag
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

for _name in ("tifffile", "PIL"):  # what they log of damaged files is told by our own line
    logging.getLogger(_name).addHandler(logging.NullHandler())


@contextmanager
def opened(path: Path) -> Iterator[Image.Image | None]:
    """Open an image file and check its header; what decoders raise in the block is bad input.

    None stands for a TIFF that only tifffile knows.

    Raises:
        InputError: no such file, empty, not an image, damaged, or of 100 megapixels or more.
    """
    if not is_volume(path):
        if not path.exists():
            what = "is a link that leads to no file" if path.is_symlink() else "no such file"
            raise InputError(f"{path}: {what}")
        if not path.is_file():
            raise InputError(f"{path}: is not a file; name an image file")
    if path.suffix.lower() in SLIDES:
        raise InputError(
            f"{path}: is a whole-slide image, which prompttune predict reads by windows; to learn "
            "from one, export parts of it as PNG or TIFF"
        )
    with explained(path):
        if is_volume(path):
            yield None
            return
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); copy or export it again")
        # Given a name instead of a file, Pillow 13 garbles uncompressed TIFF with an orientation.
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of Pillow, on large or damaged files: told below
            if _only_tifffile(path):
                yield None
                return
            _know_heic(path)
            with Image.open(file) as image:
                check_size(path, image.width, image.height)
                yield image


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what decoders raise in the block into one line about the file.

    Raises:
        InputError: of 100 megapixels or more, not an image, damaged, or not to be opened.
    """
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError:  # Pillow's own limit is higher, and its error has no size
        raise InputError(_too_large(path, "far more pixels")) from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: is not an image (PNG, JPEG, TIFF, GIF, BMP, PPM or WebP), or is truncated "
            "or damaged; copy or export it again"
        ) from None
    except PermissionError:
        raise InputError(f"{path}: cannot be opened (permission denied)") from None
    except Exception as error:
        raise InputError(
            f"{path}: is truncated or damaged ({error}); copy or export it again"
        ) from error


def _know_heic(path: Path) -> None:
    """Let Pillow read HEIC, the photos of phones, with pillow-heif.

    Raises:
        InputError: it is not installed.
    """
    if path.suffix.lower() not in (".heic", ".heif", ".hif"):
        return
    try:
        import pillow_heif
    except ImportError:
        raise InputError(
            f"{path}: reading HEIC needs a further package; pip install prompttune[photos]"
        ) from None
    pillow_heif.register_heif_opener()


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse 100 megapixels or more."""
    if width * height >= MAX_PIXELS:
        raise InputError(_too_large(path, f"{width} x {height} pixels"))


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path}: has {size}, and the limit is {MAX_PIXELS // 1_000_000} megapixels; "
        "scale it down or cut it into parts"
    )


def is_tiff(path: Path) -> bool:
    """Say whether a file begins as TIFF and BigTIFF do; a pipe is none, and not waited for."""
    if path.exists() and not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) in _TIFF_MAGIC


def _only_tifffile(path: Path) -> bool:
    """Say whether a TIFF has bands or a kind of numbers that Pillow drops or cannot open."""
    if not is_tiff(path):
        return False
    try:
        with tiff_file(path) as file:
            page = file.pages.first
            several = page.samplesperpixel > 1 and page.planarconfig == 2
            wide = page.samplesperpixel > 4 or (page.samplesperpixel > 3 and page.photometric < 2)
            numbers = page.dtype is None or page.dtype.kind not in "bu"
            deep = page.bitspersample > 8
            if several or wide or numbers or deep or _channels(file.series[0]) > 1:
                check_size(path, page.imagewidth, page.imagelength)
                return page.dtype is not None
    except InputError:
        raise
    except Exception:  # damaged: Pillow's words are the plainer ones
        return False
    return False


def header(path: Path) -> tuple[tuple[int, int], str, bool]:
    """Return an image's width and height, its bits in words, and whether they are over 8.

    Raises:
        InputError: as `opened`.
    """
    with opened(path) as image:
        if volume := volume_of(path):
            facts = volume.facts
            bits = f"{bits_in_words(facts.dtype, facts.bands)} ({facts.kind})"
            return facts.size, bits, facts.dtype not in (np.uint8, np.bool_)
        if image is None:
            with tiff_file(path) as file:
                page = file.pages.first
                bands = max(page.samplesperpixel, _channels(file.series[0]))
                size, dtype = (page.imagewidth, page.imagelength), np.dtype(page.dtype)
            return size, bits_in_words(dtype, bands), dtype not in (np.uint8, bool)
        size = (image.width, image.height)
        if orientation_in_header(path, image) > 4:
            size = size[::-1]
        if is_deep(image) or image.mode[0] in "IF":
            bands = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}.get(image.mode, 1)
            kind = np.float32 if image.mode == "F" else np.uint16
            return size, bits_in_words(np.dtype(kind), bands), True
        return size, PILLOW_MODES.get(image.mode, f"8-bit {image.mode}"), False


PILLOW_MODES = {"1": "1-bit", "L": "8-bit gray", "P": "8-bit palette", "LA": "8-bit gray + alpha"}


def bits_in_words(dtype: np.dtype, bands: int) -> str:
    """Return words such as `16-bit gray` or `8-bit, 8 bands`."""
    if dtype.kind == "b":
        return "1-bit"
    bits = f"{8 * dtype.itemsize}-bit" + (" float" if dtype.kind == "f" else "")
    kinds = {1: " gray", 2: " gray + 1 band", 3: " RGB", 4: " RGB + 1 band"}
    return bits + kinds.get(bands, f", {bands} bands")


@contextmanager
def tiff_file(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF whose pages follow each other; in a circle tifffile would go round for ever.

    Raises:
        InputError: a page that leads back to an earlier one.
    """
    status = path.stat()
    if _lead_in_circle(path, status.st_mtime_ns, status.st_size):
        raise InputError(f"{path}: its pages lead in a circle; copy or export it again")
    with tifffile.TiffFile(path) as file:
        yield file


@lru_cache(maxsize=64)  # a stack is opened for each page
def _lead_in_circle(path: Path, changed: int, size: int) -> bool:
    """Say whether a page of a TIFF, which was changed at a time, leads back to an earlier one."""
    with tifffile.TiffFile(path) as file:
        kind, stream = file.tiff, file.filehandle
        stream.seek(4 if kind.offsetsize == 4 else 8)
        seen: set[int] = set()
        while offset := _number(stream, kind.offsetformat, kind.offsetsize):
            if offset in seen:
                return True
            seen.add(offset)
            if offset + kind.tagnosize > size:
                break  # tifffile says what is missing
            stream.seek(offset)
            tags = _number(stream, kind.tagnoformat, kind.tagnosize)
            stream.seek(offset + kind.tagnosize + tags * kind.tagsize)
    return False


def _number(stream: tifffile.FileHandle, form: str, size: int) -> int:
    """Read a number; 0 where the file ends."""
    content = stream.read(size)
    return int(struct.unpack(form, content)[0]) if len(content) == size else 0


def page_count(path: Path) -> int:
    """Return how many slices, time points or frames an image file holds; 1 if it is no image."""
    try:
        if volume := volume_of(path):
            return volume.facts.pages
        if is_tiff(path):
            with tiff_file(path) as file:
                return math.prod(_slices(file.series[0]))
        if path.suffix.lower() not in FRAMES or not path.is_file():
            return 1
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # reading it will say what is wrong
        return 1


def nodata_of(path: Path) -> float | None:
    """Return the value by which a TIFF marks pixels without data; None where it names none."""
    try:
        if volume := volume_of(path):
            return volume.facts.nodata
        if not is_tiff(path):
            return None
        with tifffile.TiffFile(path) as file:
            tag = file.pages.first.tags.get(_NODATA)
            return None if tag is None else float(str(tag.value).strip("\0 "))
    except Exception:  # reading the pixels will say what is wrong
        return None


def is_deep(image: Image.Image) -> bool:
    """Tell from a PNG's header if it holds over 8 bits, which Pillow may cut to 8."""
    if image.format == "PNG":
        return any("16" in str(tile[3]) for tile in image.tile)  # type: ignore[attr-defined]
    return False


def decode_tiff(path: Path, page: int = 0) -> np.ndarray:
    """Decode a page of a TIFF or volume as `H x W` or `H x W x C` numbers as it stores them.

    Channels that lie on pages of their own (OME, ImageJ) become bands.

    Raises:
        InputError: a volume that is not stored page by page, a compression without a decoder.
    """
    if volume := volume_of(path):
        return volume.numbers(page)
    with tiff_file(path) as file:
        first, series = file.pages.first, file.series[0]
        if first.axes not in ("YX", "YXS", "SYX"):
            raise InputError(f"{path}: is a stack with axes {first.axes}; save one picture a file")
        try:
            bands = [_upright_page(each) for each in _pages(series, page)]
        except (ImportError, ValueError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            plain = first.axes != "SYX" and first.samplesperpixel <= 4
            if page or len(_pages(series, 0)) > 1 or not plain:
                return _decode_rasterio(path, page, error)
            pixels = _decode_quietly(path)
            if pixels is None:
                return _decode_rasterio(path, page, error)
            tag = first.tags.get(ORIENTATION)
            return upright(pixels, tag.value if tag else 1)
    return bands[0] if len(bands) == 1 else np.stack(bands, axis=2)


def _decode_quietly(path: Path) -> np.ndarray | None:
    """Decode with OpenCV, which tells on stderr of every tag that it does not know."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    return None if pixels is None else _from_opencv(pixels)


def _upright_page(page: Any) -> np.ndarray:
    pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    white_is_zero = page.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    if white_is_zero and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    tag = page.keyframe.tags.get(ORIENTATION)
    # In TIFF the tag tells how rows are stored, so it holds for masks too (Pillow applies it).
    return upright(pixels, tag.value if tag else 1)


def _decode_rasterio(path: Path, page: int, error: Exception) -> np.ndarray:
    """Decode with GDAL, which knows more compressions than tifffile alone."""
    try:
        import rasterio
    except ImportError:
        raise InputError(
            f"{path}: its compression needs a further package ({error}); "
            "pip install prompttune[geo]"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        name = f"GTIFF_DIR:{page + 1}:{path}" if page else str(path)
        with rasterio.open(name) as raster:
            pixels = np.moveaxis(raster.read(), 0, -1)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _leading(series: "tifffile.TiffPageSeries") -> tuple[str, tuple[int, ...]]:
    """Return axes and lengths of a series before those of one page.

    Of an array `H x W x 1` that tifffile wrote a last axis comes after them.
    """
    count = series.axes.find(series.keyframe.axes)
    if count < 0 or math.prod(series.shape[count + len(series.keyframe.axes) :]) != 1:
        count = series.ndim - len(series.keyframe.shape)
    return series.axes[:count], tuple(series.shape[:count])


def _channels(series: "tifffile.TiffPageSeries") -> int:
    axes, shape = _leading(series)
    return math.prod(n for axis, n in zip(axes, shape, strict=True) if axis in "CS")


def _slices(series: "tifffile.TiffPageSeries") -> list[int]:
    axes, shape = _leading(series)
    return [n for axis, n in zip(axes, shape, strict=True) if axis not in "CS"]


def _pages(series: "tifffile.TiffPageSeries", number: int) -> list[Any]:
    """Return the page (`TiffPage` or `TiffFrame`) of each channel of a slice."""
    axes, shape = _leading(series)
    order = np.arange(math.prod(shape)).reshape(shape)
    channels = [place for place, axis in enumerate(axes) if axis in "CS"]
    order = np.moveaxis(order, channels, range(-len(channels), 0)) if channels else order
    rows = order.reshape(math.prod(_slices(series)), -1)
    return [series.pages[int(index)] for index in rows[number]]


def decode_opencv(path: Path, image: Image.Image) -> np.ndarray:
    """Decode a PNG of 16 bits or a PPM as `H x W` or `H x W x C` numbers, RGB order."""
    image.load()  # raises on a truncated file, of which OpenCV returns a half
    pixels = decode_image(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("no decoder takes it")
    return _from_opencv(pixels)


def _from_opencv(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        alpha = pixels.shape[2] == 4
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if alpha else cv2.COLOR_BGR2RGB)
    return pixels


def numbers_of(image: Image.Image) -> np.ndarray:
    """Return a Pillow image's stored numbers; of mode I, which holds 16-bit PGM, as uint16."""
    pixels = np.asarray(image)
    if image.mode == "1":
        return pixels.astype(np.uint8)
    if image.mode == "I" and pixels.min() >= 0 and pixels.max() < 65536:
        return pixels.astype(np.uint16)
    return pixels
