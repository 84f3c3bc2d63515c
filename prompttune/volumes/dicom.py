"""DICOM: files, multi-frame files and series of slices, with rescale, window and inversion."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood
from prompttune.volumes.volume import Facts

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""The class of DICOM SEG objects."""
_LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
for _name in ("pydicom", "pylibjpeg", "highdicom"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


def read_dataset(path: Path, pixels: bool = True) -> Any:
    """Read a DICOM file.

    Raises:
        InputError: pydicom is not installed, or the file is none or damaged.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise InputError(
            f"{path}: reading DICOM needs a further package; pip install prompttune[medical]"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard, as many do
            try:
                return pydicom.dcmread(path, stop_before_pixels=not pixels)
            except InvalidDicomError:  # without the 128 bytes before, as some old devices write
                found = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
                if "SOPClassUID" not in found or "Rows" not in found:
                    raise
                if not getattr(found.file_meta, "TransferSyntaxUID", None):
                    found.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
                return found
    except Exception as error:  # pydicom raises whatever comes of damaged bytes
        raise InputError(f"{path}: is no DICOM image, or damaged ({_line(error)})") from None


class DicomVolume:
    """A DICOM file of one or many frames, or a series of files that are its slices, in order.

    Args:
        paths: one, or those of a series in the order of their slices.

    Raises:
        InputError: as `read_dataset`, or a file without an image.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        with understood(self.paths[0], "DICOM image", (Exception,)):
            self._describe()

    def _describe(self) -> None:
        head = read_dataset(self.paths[0], pixels=False)
        if "Rows" not in head or "Columns" not in head:
            raise InputError(f"{self.paths[0]}: is a DICOM file without an image")
        frames = int(head.get("NumberOfFrames", 1) or 1) if len(self.paths) == 1 else 1
        self._frames = frames
        self._open: tuple[int, Any] | None = None
        facts = facts_of(head, max(frames, len(self.paths)))
        if len(self.paths) > 1:
            last = read_dataset(self.paths[-1], pixels=False)
            facts = replace(facts, affine=_series_affine(head, last, len(self.paths)))
        self.facts = facts

    def dataset(self, index: int) -> Any:
        """Return the dataset of a file; the one that was asked for last is kept."""
        if self._open is None or self._open[0] != index:
            self._open = index, read_dataset(self.paths[index])
        return self._open[1]

    def numbers(self, page: int) -> np.ndarray:
        """Return a slice or frame, `H x W` or `H x W x 3`: rescaled, MONOCHROME1 turned round."""
        index = page if len(self.paths) > 1 else 0
        path, dataset = self.paths[index], self.dataset(index)
        if page == 0 or len(self.paths) > 1:
            with understood(path, "DICOM image", (Exception,)):
                _check_alike(path, dataset, self.facts)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _numbers(dataset, page if self._frames > 1 else None)
        except InputError:
            raise
        except Exception as error:  # decoders raise what they like
            raise InputError(
                f"{path}: its pixels cannot be read ({_line(error)}); if it is compressed, "
                "pip install prompttune[medical]"
            ) from None


def facts_of(head: Any, pages: int) -> Facts:
    """Describe a DICOM file by its header."""
    color = str(head.get("PhotometricInterpretation", "MONOCHROME2")) not in (
        "MONOCHROME1", "MONOCHROME2",
    )  # fmt: skip
    bits = int(head.get("BitsAllocated", 8))
    slope, intercept = _rescale(head)
    whole = slope == int(slope) and intercept == int(intercept)
    signed = bool(head.get("PixelRepresentation", 0)) or intercept < 0 or slope < 0
    kind: type[np.generic] = np.int32
    if color or (bits <= 8 and (slope, intercept) == (1, 0)):
        kind = np.uint8
    elif not whole:
        kind = np.float32
    elif (slope, intercept) == (1, 0):
        kind = np.int16 if signed else np.uint16
    return Facts(
        f"{head.get('Modality', 'image')}, DICOM", pages,
        (int(head.Columns), int(head.Rows)), np.dtype(kind), 3 if color else 1,
        None if color else _window(head), None if color else _padding(head),
        _frame_affine(head), str(head.get("PatientID", "") or "") or None,
        str(head.get("SeriesInstanceUID", "") or "") or None,
    )  # fmt: skip


def _numbers(dataset: Any, frame: int | None) -> np.ndarray:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(dataset, index=frame)
    kind = str(dataset.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        return (stored >> 8).astype(np.uint8) if stored.dtype == np.uint16 else stored
    if stored.ndim == 3:
        if stored.dtype == np.uint16:
            shift = int(dataset.BitsStored) - 8
            return (stored >> max(0, shift)).clip(0, 255).astype(np.uint8)
        return stored
    if kind == "MONOCHROME1":
        low, high = _stored_range(dataset)
        stored = (low + high - stored.astype(np.int64)).astype(stored.dtype)
    slope, intercept = _rescale(dataset)
    dtype = facts_of(dataset, 1).dtype
    if (slope, intercept) == (1, 0):
        return stored.astype(dtype, copy=False)
    return (stored.astype(np.float64) * slope + intercept).astype(dtype)


def _rescale(dataset: Any) -> tuple[float, float]:
    """Return slope and intercept, of enhanced files those of the first frame."""
    source = dataset
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        shared = dataset.get(group)
        if shared and shared[0].get("PixelValueTransformationSequence"):
            source = shared[0].PixelValueTransformationSequence[0]
            break
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    return float(1 if slope is None else slope), float(intercept or 0)


def _stored_range(dataset: Any) -> tuple[int, int]:
    bits = int(dataset.get("BitsStored", dataset.BitsAllocated))
    if int(dataset.get("PixelRepresentation", 0)):
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def _window(head: Any) -> tuple[float, float] | None:
    """Return the numbers that the file's first window shows as black and white."""
    source = head
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        shared = head.get(group)
        if shared and shared[0].get("FrameVOILUTSequence"):
            source = shared[0].FrameVOILUTSequence[0]
            break
    center, width = (_first(source.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width <= 1:
        return None
    # The standard's linear function, PS3.3 C.11.2.1.2: half a number to the side.
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if str(head.get("PhotometricInterpretation")) == "MONOCHROME1":
        low, high = (_turned(head, each) for each in (high, low))
    return low, high


def _padding(head: Any) -> float | None:
    value = head.get("PixelPaddingValue")
    if value is None:
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


def _frame_affine(head: Any) -> np.ndarray | None:
    """Return the LPS affine of one slice; without a place, that of its pixel spacing alone."""
    spacing = head.get("PixelSpacing") or head.get("ImagerPixelSpacing")
    shared = head.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    if measures:
        spacing = measures[0].get("PixelSpacing") or spacing
    if not spacing:
        return None
    down, across = (float(each) for each in spacing)
    affine = np.diag((across, down, 1.0, 1.0))
    cosines, position = head.get("ImageOrientationPatient"), head.get("ImagePositionPatient")
    if cosines and position:
        row, column = np.array(cosines, float).reshape(2, 3)
        affine[:3, 0], affine[:3, 1] = row * across, column * down
        affine[:3, 2], affine[:3, 3] = np.cross(row, column), np.array(position, float)
    if measures and measures[0].get("SpacingBetweenSlices"):
        affine[:3, 2] *= float(measures[0].SpacingBetweenSlices)
    return affine


def _series_affine(first: Any, last: Any, count: int) -> np.ndarray | None:
    affine = _frame_affine(first)
    positions = [each.get("ImagePositionPatient") for each in (first, last)]
    if affine is None or not all(positions):
        return affine
    start, end = (np.array(each, float) for each in positions)
    affine[:3, 2] = (end - start) / (count - 1)
    return affine


def _check_alike(path: Path, dataset: Any, facts: Facts) -> None:
    size = int(dataset.Columns), int(dataset.Rows)
    if size != facts.size:
        listed = [f"{width} x {height}" for width, height in (size, facts.size)]
        raise InputError(f"{path}: has {listed[0]} pixels, the series' first slice {listed[1]}")


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 160 else f"{text[:160]}..."
