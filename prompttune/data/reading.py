"""Read image, mask and field-of-view files, or say in one line why not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.decoding import (
    PILLOW_MODES,
    bits_in_words,
    decode_opencv,
    decode_tiff,
    header,
    is_deep,
    is_tiff,
    nodata_of,
    numbers_of,
    opened,
    page_count,
)
from prompttune.data.masks import (
    class_map_from_pil as class_map_from_pil,
)
from prompttune.data.masks import (
    class_map_from_values as class_map_from_values,
)
from prompttune.data.masks import (
    read_field_of_view as read_field_of_view,
)
from prompttune.data.masks import (
    read_mask as read_mask,
)
from prompttune.data.orientation import orientation_of, upright
from prompttune.data.stretch import Stretch, to_bytes
from prompttune.utils.errors import InputError, warn
from prompttune.utils.kept import Kept
from prompttune.volumes.opening import is_volume, volume_of, window_of
from prompttune.volumes.volume import Volume

LIMITED = 0.5
"""A picture of which the given stretch cuts off a larger share is told of."""


@dataclass(frozen=True)
class ImageOptions:
    """How the stored numbers of an image become red, green and blue."""

    bands: tuple[int, ...] | None = None
    """1-based numbers of one band (gray) or three; None: the first three, or the first alone."""
    stretch: str | None = None
    """See `data.stretch`; None or `auto`: by the picture."""

    @classmethod
    def of(cls, bands: str | None, stretch: str | None) -> "ImageOptions":
        """Read them as commands take them.

        Args:
            bands: one number or three, counted from 1, as `4,3,2`; None: the first three.
            stretch: `image`, `full` or `LOW,HIGH`, in the numbers that the files store; None: by
                the picture.

        Returns:
            The options.

        Raises:
            InputError: neither one nor three numbers of bands from 1 on, or no such stretch.
        """
        if stretch not in (None, "auto", "image", "full"):
            Stretch.parse(str(stretch))
        if bands is None:
            return cls(None, stretch)
        numbers = [part.strip() for part in str(bands).split(",")]
        if len(numbers) not in (1, 3) or not all(n.isdecimal() and int(n) for n in numbers):
            raise InputError(f"--bands {bands}: give one number or three, counted from 1: 4,3,2")
        return cls(tuple(map(int, numbers)), stretch)


AS_STORED = ImageOptions()


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as the network sees it, and what its file holds."""

    pixels: np.ndarray
    """`H x W x 3 uint8` RGB, upright."""
    bits: str
    """Of the file, in words: `8-bit RGB`, `16-bit gray`, `8-bit, 4 bands`."""
    bands: tuple[int, ...]
    """Those that were taken, 1-based; empty where nothing was left out."""
    stretch: Stretch | None
    """What made 8 bits of deep numbers, where a range was chosen."""
    cut: float = 0.0
    """Share of the numbers outside that range."""
    seen: tuple[float, float] | None = None
    """Smallest and largest number, of deep pictures."""
    empty: np.ndarray | None = None
    """`H x W bool`: pixels of the file's value for no data."""
    window: str | None = None
    """Of volumes: what the range is, where nobody named one."""


def read_image(path: str | Path, options: ImageOptions = AS_STORED, page: int = 0) -> np.ndarray:
    """Read an image file as `H x W x 3 uint8` RGB, upright.

    Gray and palette images are expanded, alpha is dropped, EXIF orientation is applied. Of more
    than three bands the first three are taken. 16 bits become 8 by one linear rule, `round(value /
    257)`, where they use a quarter of their range or more; else the picture's own 1st to 99th
    percentile becomes black to white, and a warning says so. Of several frames or pages the first
    is read.

    Args:
        path: of the file.
        options: other bands, another stretch.
        page: of a stack or an animation, from 0.

    Raises:
        InputError: no such file, empty, not an image, damaged, of 100 megapixels or more, without
            the bands asked for, or of a number type without a known range (float, 32-bit) and no
            stretch.
    """
    picture = read_picture(path, options, page)
    tell_stretch(path, picture, options)
    return picture.pixels


def tell_stretch(path: str | Path, picture: Picture, options: ImageOptions) -> None:
    """Warn, once, of a stretch that nobody asked for, or that cuts off most of a picture."""
    if picture.stretch is None:
        return
    if picture.window is not None:
        warn(
            f"{path}: shown from {picture.stretch.low:g} to {picture.stretch.high:g} "
            f"({picture.window}), and so with others of this kind; --stretch LOW,HIGH sets it",
            once="window",
        )
    elif options.stretch in (None, "auto"):
        warn(
            f"{path}: {picture.bits} numbers of a narrow range; its own percentiles 1 and 99 "
            f"({picture.stretch.low:g} and {picture.stretch.high:g}) are shown as black and white, "
            "and so with others of this kind",
            once="narrow",
        )
    elif picture.cut > LIMITED and picture.seen is not None:
        low, high = picture.seen
        warn(
            f"{path}: holds numbers from {low:g} to {high:g}, of which --stretch {options.stretch} "
            f"cuts off {100 * picture.cut:.0f} %; give --stretch image where ranges differ",
            once="cut off",
        )


def read_picture(path: str | Path, options: ImageOptions = AS_STORED, page: int = 0) -> Picture:
    """Read an image file as `read_image` does, without a warning, and tell what it holds."""
    path = Path(path)
    plain = page == 0 and options.bands is None and options.stretch in (None, "auto", "full")
    tried = _tried.pop(_state(path)) if plain else None
    return tried or _read_picture(path, options, page)


TRIED_BYTES = 256 << 20
_tried: Kept[Picture] = Kept(TRIED_BYTES, lambda picture: picture.pixels.nbytes)
_deep: Kept[tuple[np.ndarray, int]] = Kept(TRIED_BYTES, lambda each: each[0].nbytes)
"""Numbers of more than 8 bits, of which a common range is chosen before they become pictures."""


def try_image(path: Path) -> None:
    """Read an image to see that it can be read; the next `read_picture` takes what was found.

    Raises:
        InputError: it is damaged, or none.
    """
    if header(path)[2]:  # how its numbers become colors is not known yet
        with opened(path) as image:
            _numbers_in(path, image)
        return
    _tried.pop(_state(path))
    _tried.get(_state(path), lambda: _read_picture(path, AS_STORED, 0))


def _state(path: Path) -> tuple[Path, int, int] | None:
    """Return what changes when a file does; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return path, state.st_mtime_ns, state.st_size


def _numbers_in(
    path: Path, image: Image.Image | None, page: int = 0, last: bool = False
) -> tuple[np.ndarray, int]:
    """Decode the deep numbers of a file, once for all who look at them.

    Args:
        path: of the file.
        image: as `opened` gives it, at the page.
        page: of a stack, from 0.
        last: nobody will look at them again.

    Returns:
        The numbers as they are stored, and the EXIF orientation that is still to be undone.
    """

    def decode() -> tuple[np.ndarray, int]:
        if image is None:
            return decode_tiff(path, page), 1
        numbers = decode_opencv(path, image) if is_deep(image) else numbers_of(image)
        return numbers, orientation_of(image)

    state = None if is_volume(path) else _state(path)  # volumes keep their own numbers
    if state is None:
        return decode()
    if last:
        kept = _deep.pop((*state, page))
        return decode() if kept is None else kept
    return _deep.get((*state, page), decode)


def _read_picture(path: Path, options: ImageOptions, page: int) -> Picture:
    nodata = nodata_of(path)
    with opened(path) as image:
        if volume := volume_of(path):
            return _picture_of_volume(volume, path, options, page)
        if image is None or (page and is_tiff(path) and _frames(image) != page_count(path)):
            numbers, _ = _numbers_in(path, None, page, last=True)
            return picture_of(numbers, path, options, nodata)
        if page:
            image.seek(page)
        if is_deep(image) or image.mode[0] in "IF":
            numbers = upright(*_numbers_in(path, image, page, last=True))
            picture = picture_of(numbers, path, options)
        else:
            picture = _picture_of_pil(image, path, options)
        if nodata is None or image.mode == "P":
            return picture
        return replace(picture, empty=(picture.pixels == nodata).all(2))


def _picture_of_volume(volume: Volume, path: Path, options: ImageOptions, page: int) -> Picture:
    """Show a slice; where no range was named, by the one of all slices."""
    numbers, window = volume.numbers(page), None
    if options.stretch in (None, "auto") and (found := window_of(volume)):
        (low, high), window = found
        options = replace(options, stretch=f"{low!r},{high!r}")
    picture = picture_of(numbers, path, options, volume.facts.nodata)
    bits = f"{picture.bits} ({volume.facts.kind})"
    return replace(picture, bits=bits, window=window)


def read_numbers(path: Path, options: ImageOptions = AS_STORED, page: int = 0) -> np.ndarray:
    """Read the chosen bands of an image as `H x W x C` numbers, before any stretch.

    Where some pixels hold the file's value for no data, `N x C` numbers of the others.
    """
    with opened(path) as image:
        if image is None:
            chosen = _chosen(_numbers_in(path, None, page)[0], path, options.bands)[0]
            empty = _empty_in(chosen, nodata_of(path))
            return chosen if empty is None or not empty.any() else chosen[~empty]
        if is_deep(image):
            return _chosen(_numbers_in(path, image)[0], path, options.bands)[0]
        if image.mode[0] in "IF":
            return _numbers_in(path, image)[0][:, :, None]
        return np.zeros((1, 1, 1), np.uint8)  # 8 bits need no stretch


def rgb_from_pil(
    image: Image.Image, name: str | Path = "image", options: ImageOptions = AS_STORED
) -> np.ndarray:
    """Turn a Pillow image of any mode into `H x W x 3 uint8` RGB, as `read_image` does."""
    picture = _picture_of_pil(image, name, options)
    tell_stretch(name, picture, options)
    return picture.pixels


def rgb_from_array(
    pixels: np.ndarray, name: str | Path = "image", options: ImageOptions = AS_STORED
) -> np.ndarray:
    """Turn `H x W [x C]` stored numbers into `H x W x 3 uint8`, as `read_image` does."""
    picture = picture_of(pixels, name, options)
    tell_stretch(name, picture, options)
    return picture.pixels


def picture_of(
    numbers: np.ndarray, name: str | Path, options: ImageOptions, nodata: float | None = None
) -> Picture:
    """Turn stored numbers `H x W [x C]` into a picture; `nodata` marks pixels that hold nothing."""
    chosen, bands = _chosen(numbers, name, options.bands)
    empty, counted = _empty_in(chosen, nodata), None
    if empty is not None:
        counted = chosen[~empty] if empty.any() else None
    pixels, stretch = to_bytes(chosen, options.stretch, name, counted)
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    deep = chosen.dtype not in (np.uint8, bool) and chosen.size > 0
    return Picture(
        np.ascontiguousarray(pixels),
        bits_in_words(numbers.dtype, 1 if numbers.ndim == 2 else numbers.shape[2]),
        bands,
        stretch,
        stretch.share_outside(chosen if counted is None else counted) if stretch else 0.0,
        (float(np.nanmin(chosen)), float(np.nanmax(chosen))) if deep else None,
        empty,
    )


def _empty_in(numbers: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Return where `H x W x C` numbers hold nothing, `H x W bool`; None where no value says so."""
    if nodata is None:
        return None
    return np.isnan(numbers).all(2) if np.isnan(nodata) else (numbers == nodata).all(2)


def _chosen(
    numbers: np.ndarray, name: str | Path, bands: Sequence[int] | None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Take the bands that are shown, and name them where that is not plain."""
    if numbers.ndim == 2:
        numbers = numbers[:, :, None]
    count = numbers.shape[2]
    if bands is None:
        taken: tuple[int, ...] = (1, 2, 3) if count >= 3 else (1,)
        named = taken if count > 4 else ()
    else:
        taken = named = tuple(bands)
        if len(taken) not in (1, 3) or not all(1 <= band <= count for band in taken):
            raise InputError(
                f"{name}: has {count} band{'s' * (count > 1)}; --bands takes one of them or three, "
                f"such as {'3,2,1' if count > 2 else '1'}"
            )
    return numbers[:, :, [band - 1 for band in taken]], named


def _picture_of_pil(image: Image.Image, name: str | Path, options: ImageOptions) -> Picture:
    image.load()
    if image.mode[0] in "IF":
        pixels = upright(numbers_of(image), orientation_of(image))
        return picture_of(pixels, name, options)
    if "transparency" in image.info:  # Pillow warns where a palette with alpha skips this step
        pixels = np.array(image.convert("RGBA").convert("RGB"))
    elif options.bands is not None and image.mode in ("L", "LA", "RGB", "RGBA"):
        pixels = np.atleast_3d(np.array(image))
    else:
        pixels = np.array(image.convert("RGB"))
    pixels, bands = _chosen(pixels, name, options.bands)
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)
    pixels = upright(pixels, orientation_of(image))
    return Picture(pixels, PILLOW_MODES.get(image.mode, f"8-bit {image.mode}"), bands, None)


def _frames(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))
