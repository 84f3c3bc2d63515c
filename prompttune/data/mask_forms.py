"""What mask files store: indices, grays, alpha or colors, before it is known what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from PIL import Image

from prompttune.data.decoding import (
    decode_opencv,
    decode_tiff,
    explained,
    is_deep,
    is_tiff,
    numbers_of,
    opened,
    page_count,
)
from prompttune.data.palettes import (
    grays_of,
    has_black_elsewhere,
    transparent,
    used_colors,
    white_of,
)
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.kept import Kept

KEPT_BYTES = 128 * 2**20
"""Of decoded masks: a set's survey, its split and tuning read the same ones."""
KINDS = ("auto", "index", "gray", "instances", "alpha", "colors")


_PHOTO = 256
"""A picture of more colors beside its alpha is a cut-out photo, not a mask in colors."""


Form = Literal["indices", "gray", "alpha", "two-color palette", "colors"]


@dataclass(frozen=True)
class MaskOptions:
    """How stored values become classes, where the files' own rule does not fit."""

    kind: str = "auto"
    """One of `KINDS`."""
    values: Mapping[int, int] | None = None
    """From a stored value to its class index."""
    colors: Mapping[int, int] | None = None
    """From a color 0xRRGGBB to its class index."""
    resize: bool = False
    """Whether a mask of another size than its image is scaled to it."""
    turned: bool = False
    """Whether masks were drawn on images as stored, before their EXIF tag turns them upright."""

    def __post_init__(self) -> None:
        if self.kind == "grey":  # as it is spelled in keys of version 0.1
            object.__setattr__(self, "kind", "gray")
        if self.kind not in KINDS:
            raise InputError(f"--mask_kind {self.kind}: must be one of {', '.join(KINDS)}")


AUTO = MaskOptions()


@dataclass(frozen=True, eq=False)
class Stored:
    """What one mask file holds."""

    values: np.ndarray
    """`H x W` integers; of form `colors` 0xRRGGBB."""
    form: Form
    palette: Mapping[int, int] = field(default_factory=dict)
    """Of a palette's indices that are used the colors, 0xRRGGBB."""


def read_stored(path: str | Path, options: MaskOptions = AUTO, page: int = 0) -> Stored:
    """Read what a mask file holds, before it is asked what that means.

    Raises:
        InputError: as `read_image`, or numbers that are no integers.
    """
    path = Path(path)
    decoded = _decoded_once(path, page)
    with explained(path):
        if isinstance(decoded.content, np.ndarray):
            stored = stored_of_array(decoded.content, options, path)
        else:
            stored = stored_of_pil(decoded.content, options, path)
        return _turned(stored, decoded.negative)


def try_mask(path: Path) -> None:
    """Decode a mask to see that it can be; `read_stored` takes what was found.

    Raises:
        InputError: it is damaged, or no image.
    """
    _decoded_once(path, 0)


def _decoded_once(path: Path, page: int) -> "_Decoded":
    try:
        state = path.stat()
    except OSError:  # a series of slices, or a file that decoding will miss
        return _decode(path, page)
    key = (path, page, state.st_mtime_ns, state.st_size)
    return _decoded.get(key, lambda: _decode(path, page))


@dataclass(frozen=True, eq=False)
class _Decoded:
    """A mask file's numbers; of palettes and the like an image that knows its colors."""

    content: np.ndarray | Image.Image
    negative: bool
    """See `means_stored`."""

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        if isinstance(self.content, np.ndarray):
            return self.content.nbytes
        return self.content.width * self.content.height * len(self.content.getbands())


_decoded: Kept[_Decoded] = Kept(KEPT_BYTES, lambda each: each.nbytes)


def _decode(path: Path, page: int) -> _Decoded:
    negative = means_stored(path)
    with opened(path) as image:
        if image is None or (
            page and is_tiff(path) and int(getattr(image, "n_frames", 1)) != page_count(path)
        ):
            return _Decoded(_fixed(decode_tiff(path, page)), negative)
        if page:
            image.seek(page)
        # Pillow stretches the values of a PGM file to 255 or 65535: indices are lost.
        if is_deep(image) or (image.format == "PPM" and image.mode != "1"):
            return _Decoded(_fixed(decode_opencv(path, image)), negative=False)
        return _Decoded(image.copy(), negative)


def means_stored(path: Path) -> bool:
    """Say whether a TIFF that calls its zeros white means the numbers that it stores.

    tifffile marks boolean arrays so and means True; ImageJ marks masks so and means 255. Others,
    such as scanners, mean what is displayed.
    """
    try:
        if not is_tiff(path):
            return False
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            wrote = "tifffile" in page.software or page.description.startswith("ImageJ=")
            return wrote and page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    except Exception:  # reading the pixels will say what is wrong
        return False


def _fixed(numbers: np.ndarray) -> np.ndarray:
    """Return numbers that several will read, and none may change."""
    kept = numbers.view()
    kept.flags.writeable = False
    return kept


def _turned(stored: Stored, negative: bool) -> Stored:
    """Undo that decoders turned numbers whose zeros are called white."""
    if not negative:
        return stored
    bits = stored.form == "indices" or stored.values.dtype == bool
    highest = 1 if bits else np.iinfo(stored.values.dtype).max
    return replace(stored, values=highest - stored.values)


def stored_of_pil(image: Image.Image, options: MaskOptions, name: str | Path) -> Stored:
    """Return what a Pillow mask holds, as `read_stored` does."""
    image.load()
    if image.mode == "P":
        return _stored_of_palette(image, options, name)
    if image.mode in ("YCbCr", "CMYK", "LAB", "HSV"):
        image = image.convert("RGB")
    form: Form = "indices" if image.mode == "1" else "gray"
    return stored_of_array(numbers_of(image), options, name, form)


def _stored_of_palette(image: Image.Image, options: MaskOptions, name: str | Path) -> Stored:
    """Return a palette's indices, or its colors where they say more than the indices."""
    indices = np.asarray(image)
    if options.colors is not None or options.kind == "colors":
        return stored_of_array(np.asarray(image.convert("RGB")), options, name)
    if options.kind == "alpha":
        mode = "RGBA" if "transparency" in image.info else "RGB"
        return stored_of_array(np.asarray(image.convert(mode)), options, name)
    if options.kind == "gray":
        return Stored(np.asarray(image.convert("L")), "gray")
    if options.kind != "auto" or options.values is not None:
        return Stored(indices, "indices")
    used, white = used_colors(image, indices), white_of(image)
    hidden = transparent(image, indices)
    if hidden and (hidden != {0} or white is not None):
        if len(hidden) == len(used):
            return Stored(np.zeros_like(indices), "gray")
        return stored_of_array(np.asarray(image.convert("RGBA")), options, name)
    if (grays := grays_of(image)) is not None:
        return Stored(grays[indices], "gray")
    if white is not None:
        return Stored(white[indices], "two-color palette")
    if not hidden and has_black_elsewhere(image, used):
        if not any(used.values()):
            return Stored(np.zeros_like(indices), "gray")
        packed = np.zeros(256, np.int64)
        packed[list(used)] = list(used.values())
        return Stored(packed[indices], "colors", used)
    return Stored(indices, "indices", used)


def stored_of_array(
    numbers: np.ndarray, options: MaskOptions, name: str | Path, form: Form = "gray"
) -> Stored:
    """Find in `H x W [x C]` numbers the plane that is the mask.

    Raises:
        InputError: no integers, over four bands, or no alpha where it was asked for.
    """
    numbers = whole_numbers(numbers)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(
            f"{name}: mask holds {numbers.dtype} numbers with fractions, such as scores; choose "
            "a threshold, and save class indices as an 8-bit PNG"
        )
    if numbers.ndim == 3 and numbers.shape[2] == 1:
        numbers = numbers[:, :, 0]
    channels = 1 if numbers.ndim == 2 else numbers.shape[2]
    if options.kind == "alpha" and channels not in (2, 4):
        raise InputError(f"{name}: has no alpha channel; leave --mask_kind alpha out")
    if numbers.ndim == 2:
        return Stored(numbers, form)
    if _are_planes(numbers):
        raise InputError(
            f"{name}: mask has {channels} planes of 0 and 1, as of one class each; save the number "
            "of each pixel's class as one plane (numpy.argmax, where the first is the background)"
        )
    if channels > 4:
        raise InputError(f"{name}: mask has {channels} bands; save class indices as one band")
    colors = numbers[:, :, : 3 if channels >= 3 else 1]
    if channels in (2, 4):
        alpha = numbers[:, :, -1]
        if options.kind == "alpha" or (options.kind == "auto" and _is_alpha(colors, alpha, name)):
            return Stored(alpha, "alpha")
        hidden = alpha == 0
        if options.kind != "gray" and hidden.any() and not hidden.all():
            # Whatever color lies under it is not seen.
            colors = np.where(hidden[:, :, None], colors.dtype.type(0), colors)
    if (colors == colors[:, :, :1]).all() and options.colors is None:
        return Stored(colors[:, :, 0], form)
    if colors.dtype != np.uint8:
        raise InputError(f"{name}: mask is colored with over 8 bits; save it as an index PNG")
    red, green, blue = np.moveaxis(np.broadcast_to(colors, (*colors.shape[:2], 3)), 2, 0)
    packed = (red.astype(np.int64) << 16) | (green.astype(np.int64) << 8) | blue
    return Stored(packed, "colors")


def _are_planes(numbers: np.ndarray) -> bool:
    """Say whether bands hold 0 and 1 alone, and no pixel more than one 1."""
    return bool(numbers.max() == 1 and numbers.min() == 0 and (numbers.sum(2) <= 1).all())


def whole_numbers(numbers: np.ndarray) -> np.ndarray:
    """Return booleans, and floats that hold whole numbers alone, as integers; NaN is ignored (255).

    Others stay what they are.
    """
    if numbers.dtype == bool:
        return numbers.astype(np.uint8)
    if numbers.dtype.kind != "f":
        return numbers
    empty = np.isnan(numbers)
    filled = np.where(empty, IGNORE, numbers)
    if not np.isfinite(filled).all() or (filled != np.round(filled)).any():
        return numbers
    low, high = filled.min(), filled.max()
    if low >= 0 and high < 65536:
        return filled.astype(np.uint8 if high < 256 else np.uint16)
    return filled.astype(np.int64)


def _is_alpha(colors: np.ndarray, alpha: np.ndarray, name: str | Path) -> bool:
    """Say whether alpha is the mask: colors that are all equal, or a photo that was cut out.

    Raises:
        InputError: black that is seen on white that is not, which may mean either.
    """
    if (alpha == alpha.flat[0]).all():
        return False
    if (colors == colors[0, 0]).all():
        return True
    seen, hidden = colors[alpha > 0], colors[alpha == 0]
    if len(hidden) and (seen == seen[0]).all() and (hidden == hidden[0]).all():
        if (hidden[0] > seen[0]).all() and not seen[0].any():
            raise InputError(
                f"{name}: its white cannot be seen, and black can: which is the object? Give "
                "--mask_kind alpha for what can be seen, --mask_kind gray for the white"
            )
        return True  # one color on what cannot be seen
    gray = (colors == colors[:, :, :1]).all()
    return not gray and len(np.unique(colors.reshape(-1, colors.shape[2]), axis=0)) > _PHOTO


def value_counts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of an array of integers, rising, and how often each stands there."""
    if values.dtype in (np.uint8, np.uint16):  # without sorting, which takes far longer
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        return found, counts[found]
    return np.unique(values, return_counts=True)
