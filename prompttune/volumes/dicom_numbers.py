"""What the numbers of a DICOM file mean: rescale, tables, padding, windows and inversion."""

from typing import Any

import numpy as np

_BYTE = 255
_NEAR = 8
"""A window of 8 bits that leaves out no more at each end shows them as they are."""


def kind_of(head: Any) -> type[np.generic]:
    """Return the type that holds what the stored numbers mean."""
    bits = int(head.get("BitsAllocated", 8))
    if bits == 1:
        return np.bool_
    if bits >= 32 and "PixelRepresentation" not in head:  # the standard's sign of float pixels
        return np.float32
    scales = {_rescale(head, frame) for frame in range(_frames_described(head))}
    if any(part % 1 for scale in scales for part in scale):
        return np.float32
    if scales != {(1.0, 0.0)}:
        return np.int64 if bits >= 32 else np.int32
    signed = bool(head.get("PixelRepresentation", 0)) and not _table_bits(head)
    low, high = window(head) or (0, _BYTE)
    shown = low <= _NEAR and high >= _BYTE - _NEAR and int(head.get("BitsStored", bits)) == 8
    if bits <= 8 and not signed and shown:
        return np.uint8
    if bits >= 32 and not _table_bits(head):
        return np.int32 if signed else np.uint32
    return np.int16 if signed else np.uint16


def numbers_of(dataset: Any, frame: int | None) -> np.ndarray:
    """Return a frame (None: the only one), `H x W` or `H x W x 3`, as `Volume.numbers` does."""
    from pydicom.pixels.processing import apply_color_lut

    stored = _stored(dataset, frame)
    kind = str(dataset.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        colors = apply_color_lut(stored, dataset)
        # Some say that their colors have 16 bits, and store 8.
        return (colors >> (8 if colors.max() > _BYTE else 0)).astype(np.uint8)
    if stored.ndim == 3:
        if stored.dtype == np.uint16:
            shift = int(dataset.BitsStored) - 8
            return (stored >> max(0, shift)).clip(0, 255).astype(np.uint8)
        return stored
    if _table_bits(dataset):
        return _by_tables(dataset, stored)
    if kind == "MONOCHROME1":
        low, high = _stored_range(dataset)
        stored = (low + high - stored.astype(np.int64)).astype(stored.dtype)
    scale = slope, intercept = _rescale(dataset, frame or 0)
    dtype = kind_of(dataset)
    if scale == (1, 0):
        return stored.astype(dtype, copy=False)
    return (stored.astype(np.float64) * slope + intercept).astype(dtype)


def _stored(dataset: Any, frame: int | None) -> np.ndarray:
    """Return the numbers of a frame as they are stored; all that are padding as one value."""
    from pydicom.pixels.utils import pixel_array

    bits, highest = dataset.get("BitsStored"), dataset.get("HighBit")
    above = bool(bits and highest) and int(highest) + 1 - int(bits)
    if above > 0 and not dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.BitsStored = int(highest) + 1  # else the upper bits would be cut off
        stored = pixel_array(dataset, index=frame)
        dataset.BitsStored = int(bits)
        return stored >> above if np.abs(stored).max() >> int(bits) else stored
    stored = pixel_array(dataset, index=frame)
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if value is not None and limit is not None:
        low, high = sorted((int(value), int(limit)))
        stored = np.where((stored >= low) & (stored <= high), stored.dtype.type(int(value)), stored)
    return stored


def _table_bits(head: Any) -> int | None:
    """Return how many bits numbers have that went through a file's tables; None without tables."""
    named = _first(head.get("WindowCenter")) is not None
    table = (not named and head.get("VOILUTSequence")) or head.get("ModalityLUTSequence")
    return int(table[0].LUTDescriptor[2]) if table else None


def _by_tables(dataset: Any, stored: np.ndarray) -> np.ndarray:
    """Pass numbers through the table of their meaning, and without a window that of the display."""
    numbers = stored.astype(np.int64)
    if meaning := dataset.get("ModalityLUTSequence"):
        numbers = _looked_up(meaning[0], numbers)
    else:
        slope, intercept = dataset.get("RescaleSlope") or 1, dataset.get("RescaleIntercept") or 0
        numbers = np.round(numbers * float(slope) + float(intercept)).astype(np.int64)
    if _first(dataset.get("WindowCenter")) is None and (shown := dataset.get("VOILUTSequence")):
        numbers = _looked_up(shown[0], numbers)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        numbers = sum(_stored_range(dataset)) - numbers
    return numbers.astype(kind_of(dataset))


def _looked_up(item: Any, numbers: np.ndarray) -> np.ndarray:
    """Return what a table makes of numbers; pydicom's own way cuts those of 8 bits off at 255."""
    count, first, _ = (int(each) for each in item.LUTDescriptor)
    if first > np.iinfo(np.int16).max and numbers.min() < 0:
        first -= 1 << 16  # a negative number that was stored without its sign
    content = item.LUTData
    if isinstance(content, bytes):
        content = np.frombuffer(content, np.uint8 if len(content) == count else "<u2")
    table = np.asarray(content, np.int64)
    return table[(numbers - first).clip(0, len(table) - 1)]


def _frames_described(head: Any) -> int:
    return len(head.get("PerFrameFunctionalGroupsSequence") or ()) or 1


def group_of(head: Any, name: str, frame: int = 0) -> Any:
    """Return what an enhanced file says of all frames or of one; of others the file itself."""
    shared = head.get("SharedFunctionalGroupsSequence") or ()
    for groups in (shared[:1], (head.get("PerFrameFunctionalGroupsSequence") or ())[frame:]):
        if groups and groups[0].get(name):
            return groups[0].get(name)[0]
    return head


def _rescale(head: Any, frame: int = 0) -> tuple[float, float]:
    """Return slope and intercept of a frame."""
    if _table_bits(head):
        return 1.0, 0.0
    source = group_of(head, "PixelValueTransformationSequence", frame)
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(intercept or 0)


def _stored_range(dataset: Any) -> tuple[int, int]:
    if tabled := _table_bits(dataset):
        return 0, (1 << tabled) - 1
    bits = int(dataset.get("BitsStored", dataset.BitsAllocated))
    if int(dataset.get("PixelRepresentation", 0)):
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def window(head: Any) -> tuple[float, float] | None:
    """Return the numbers that the file's first window shows as black and white."""
    source = group_of(head, "FrameVOILUTSequence")
    center, width = (_first(source.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if source.get("VOILUTSequence") and center is None:
        return 0.0, float(_stored_range(head)[1])
    if center is None or width is None or width <= 1:
        return None
    # The standard's linear function, PS3.3 C.11.2.1.2: half a number to the side.
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if str(head.get("PhotometricInterpretation")) == "MONOCHROME1":
        low, high = (_turned(head, each) for each in (high, low))
    return low, high


def padding(head: Any) -> float | None:
    """Return the number of pixels outside of what was seen; None where the file names none."""
    value = head.get("PixelPaddingValue")
    if value is None or _table_bits(head):
        return None
    slope, intercept = _rescale(head)
    number = float(value) * slope + intercept
    turned = str(head.get("PhotometricInterpretation")) == "MONOCHROME1"
    return _turned(head, number) if turned else number


def _turned(head: Any, number: float) -> float:
    """Return what a rescaled number becomes where black and white change places."""
    slope, intercept = _rescale(head)
    return slope * sum(_stored_range(head)) + 2 * intercept - number


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    listed = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return float(listed[0]) if listed else None
