"""Read image, mask and field-of-view files, or say in one line why not."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from prompttune.errors import InputError

MAX_PIXELS = 100_000_000
IGNORE = 255

_ORIENTATION = 274  # the EXIF and TIFF tag
_BITS_PER_SAMPLE = 258
_INDEX_MODES = ("P", "1")


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as `H x W x 3 uint8` RGB, upright.

    Grey and palette images are expanded, alpha is dropped, EXIF orientation is applied. 16 bits
    become 8 by one linear rule, `round(value / 257)`: 0 is black and 65535 white, whatever range
    the file uses (so 12-bit data in a 16-bit file look dark: stretch them first). Of several frames
    or pages the first is read.

    Raises:
        InputError: no such file, empty, not an image, damaged, of 100 megapixels or more, or of a
            number type without a known range (float, 32-bit).
    """
    path = Path(path)
    with _opened(path) as image:
        if _is_deep(image):
            pixels = _decode_deep(path, image)
            return rgb_from_array(_upright(pixels, _orientation(image)), path)
        return rgb_from_pil(image, path)


def rgb_from_pil(image: Image.Image, name: str | Path = "image") -> np.ndarray:
    """Turn a Pillow image of any mode into `H x W x 3 uint8` RGB, as `read_image` does."""
    image.load()
    if image.mode[0] in "IF":
        pixels = rgb_from_array(_numbers(image), name)
    elif "transparency" in image.info:  # Pillow warns where a palette with alpha skips this step
        pixels = np.array(image.convert("RGBA").convert("RGB"))
    else:
        pixels = np.array(image.convert("RGB"))
    return _upright(pixels, _orientation(image))


def rgb_from_array(pixels: np.ndarray, name: str | Path = "image") -> np.ndarray:
    """Turn `H x W [x 1..4]` pixels of 8 or 16 bits into `H x W x 3 uint8`, as `read_image` does."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(
            f"{name}: pixels are {pixels.dtype} numbers; save it with 8 or 16 bits a channel"
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] < 3:  # grey, or grey with alpha
        pixels = pixels[:, :, :1].repeat(3, axis=2)
    return np.ascontiguousarray(pixels[:, :, :3])


def read_mask(
    path: str | Path, classes: int, values: Mapping[int, int] | None = None
) -> np.ndarray:
    """Read a mask file as an `H x W uint8` class map: 0 background, 1..`classes`, 255 ignore.

    Modes P and 1 are read as the indices they store, never as the greys of their palette. EXIF
    orientation is not applied: it belongs to photos, and masks are drawn on upright ones.
    `class_map_from_values` tells what the values mean.

    Raises:
        InputError: as `read_image`; values that the classes do not name; a coloured mask.
    """
    path = Path(path)
    with _opened(path) as image:
        # Pillow stretches the values of a PGM file to 255 or 65535: indices are lost.
        stored = _is_deep(image) or (image.format == "PPM" and image.mode != "1")
        pixels = _decode_deep(path, image) if stored else _numbers(image)
        indices = not stored and image.mode in _INDEX_MODES
    return class_map_from_values(pixels, classes, values, path, indices)


def class_map_from_pil(
    image: Image.Image,
    classes: int,
    values: Mapping[int, int] | None = None,
    name: str | Path = "mask",
) -> np.ndarray:
    """Turn a Pillow mask into an `H x W uint8` class map, as `read_mask` does."""
    image.load()
    return class_map_from_values(_numbers(image), classes, values, name, image.mode in _INDEX_MODES)


def class_map_from_values(
    pixels: np.ndarray,
    classes: int,
    values: Mapping[int, int] | None = None,
    name: str | Path = "mask",
    indices: bool = False,
) -> np.ndarray:
    """Turn stored mask values into an `H x W uint8` class map.

    `pixels` is `H x W`, or `H x W x C` with equal colours (alpha is dropped). `values` maps each
    stored value to a class index (0 background, 255 ignore). Without it, with one class,

    - {0, 1} is an index map, and in {0, 255} (16 bits: {0, 65535}) 255 is the class;
    - more than two values, greys among them, are an anti-aliased mask: above half of the range
      (> 127) is the class. Not so where `indices` says that the file stores indices, nor for the
      likes of {0, 1, 255} and {0, 1, 2}, which may be index maps of something else;

    and with several classes 0..`classes` are indices and 255 is ignored, with `values` too.

    Raises:
        InputError: values that this does not explain; the line names file, values and classes.
    """
    pixels = _single_channel(pixels, name)
    if not np.issubdtype(pixels.dtype, np.integer):
        raise InputError(
            f"{name}: mask holds {pixels.dtype} numbers; save class indices as an 8-bit PNG"
        )
    found = [int(value) for value in np.unique(pixels)]
    known = _meanings(found, classes, values, indices)
    if unknown := [value for value in found if value not in known]:
        raise InputError(_unknown_values(name, unknown, found, classes))
    table = np.array([known[value] for value in found], np.uint8)
    return table[np.searchsorted(found, pixels)]


def read_field_of_view(path: str | Path) -> np.ndarray:
    """Read a field-of-view file, a mask of one class, as `H x W bool`: True = counts."""
    return read_mask(path, classes=1) == 1


def _meanings(
    found: list[int], classes: int, values: Mapping[int, int] | None, indices: bool
) -> dict[int, int]:
    """Return what each stored value means, as class indices; values it leaves out are unknown."""
    ignored = {IGNORE: IGNORE} if classes > 1 else {}
    if values is not None:
        for value, index in values.items():
            if index not in range(classes + 1) and index != IGNORE:
                raise InputError(
                    f"`values` maps {value} to {index}, but class indices are 0 to {classes}, or "
                    f"{IGNORE} for pixels that do not count"
                )
        return ignored | dict(values)
    if classes > 1:
        return {index: index for index in range(classes + 1)} | ignored
    if set(found) <= {0, 1}:
        return {0: 0, 1: 1}
    white = 65535 if found[-1] > 255 else 255
    anti_aliased = found[-1] > white // 2 and any(white // 8 < value < white for value in found)
    if anti_aliased and len(found) > 2 and not indices:
        return {value: int(value > white // 2) for value in found}
    return {0: 0, white: 1} if set(found) <= {0, white} else {0: 0, 1: 1}


def _unknown_values(name: str | Path, unknown: list[int], found: list[int], classes: int) -> str:
    def listed(numbers: list[int]) -> str:
        return ", ".join(map(str, numbers[:12])) + (", ..." if len(numbers) > 12 else "")

    named = "0 (background) and 1 (the class)" if classes == 1 else f"0 (background) to {classes}"
    return (
        f"{name}: mask holds values {listed(found)}, but the task's {classes} "
        f"{'class is' if classes == 1 else 'classes are'} {named}, so {listed(unknown)} mean"
        f"{'s' if len(unknown) == 1 else ''} nothing; tell with `values` which class each one is"
    )


def _single_channel(pixels: np.ndarray, name: str | Path) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    colours = pixels[:, :, : 3 if pixels.shape[2] >= 3 else 1]
    if (colours != colours[:, :, :1]).any():
        raise InputError(
            f"{name}: mask is coloured, and colours name no classes; save it as an index PNG"
        )
    return colours[:, :, 0]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file and check its header; what decoders raise in the block is bad input."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: is not a file; name an image file")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); copy or export it again")
        # Given a name instead of a file, Pillow 13 garbles uncompressed TIFF with an orientation.
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of Pillow, on large or damaged files: told below
            with Image.open(file) as image:
                if image.width * image.height >= MAX_PIXELS:
                    raise InputError(_too_large(path, f"{image.width} x {image.height} pixels"))
                yield image
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


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path}: has {size}, and the limit is {MAX_PIXELS // 1_000_000} megapixels; "
        "scale it down or cut it into parts"
    )


def _is_deep(image: Image.Image) -> bool:
    """Tell from the header of PNG and TIFF if they hold over 8 bits, which Pillow may cut to 8."""
    if image.format == "PNG":
        return any("16" in str(tile[3]) for tile in image.tile)  # type: ignore[attr-defined]
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))  # type: ignore[attr-defined]
        return max(bits if isinstance(bits, tuple) else (bits,)) > 8
    return False


def _decode_deep(path: Path, image: Image.Image) -> np.ndarray:
    """Decode `H x W` or `H x W x C` (RGB order) numbers as the file stores them."""
    return _decode_tiff(path, image) if image.format == "TIFF" else _decode_opencv(path, image)


def _decode_tiff(path: Path, image: Image.Image) -> np.ndarray:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if page.axes not in ("YX", "YXS", "SYX"):
            raise InputError(f"{path}: is a stack with axes {page.axes}; save one picture a file")
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error) or page.axes == "SYX":
                raise
            return _decode_opencv(path, image)  # LZW, for which tifffile needs a further package
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype == np.uint16:
            pixels = 65535 - pixels
        orientation = page.tags.get(_ORIENTATION)
    # In TIFF the tag tells how rows are stored, so it holds for masks too (Pillow applies it).
    return _upright(pixels, orientation.value if orientation else 1)


def _decode_opencv(path: Path, image: Image.Image) -> np.ndarray:
    image.load()  # raises on a truncated file, of which OpenCV returns a half
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("no decoder takes it")
    if pixels.ndim == 3:
        alpha = pixels.shape[2] == 4
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if alpha else cv2.COLOR_BGR2RGB)
    return pixels


def _numbers(image: Image.Image) -> np.ndarray:
    """Return a Pillow image's stored numbers; of mode I, which holds 16-bit PGM, as uint16."""
    pixels = np.asarray(image)
    if image.mode == "1":
        return pixels.astype(np.uint8)
    if image.mode == "I" and pixels.min() >= 0 and pixels.max() < 65536:
        return pixels.astype(np.uint16)
    return pixels


def _orientation(image: Image.Image) -> int:
    return 1 if image.format == "TIFF" else int(image.getexif().get(_ORIENTATION, 1))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (1..8): first swap the axes, then mirror rows and columns."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
