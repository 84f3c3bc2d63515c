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
from prompttune.volumes.dicom_numbers import group_of, kind_of, numbers_of, padding, window
from prompttune.volumes.volume import Facts

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""The classes of DICOM SEG objects: with a frame for each segment, and label maps."""
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
        if len(head.get("SegmentSequence") or ()) > 1 and head.SOPClassUID == SEGMENTATIONS[0]:
            raise InputError(
                f"{self.paths[0]}: is a DICOM SEG of {len(head.SegmentSequence)} segments, each on "
                "frames of its own; save it as a label volume (NIfTI), or each segment as a file"
            )
        frames = int(head.get("NumberOfFrames", 1) or 1) if len(self.paths) == 1 else 1
        self._frames = frames
        self._open: tuple[int, Any] | None = None
        facts = facts_of(head, max(frames, len(self.paths)))
        if facts.pages > 1:
            last = _position(read_dataset(self.paths[-1], pixels=False), frames - 1)
            facts = replace(facts, affine=_stack_affine(head, last, facts.pages))
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
                return numbers_of(dataset, page if self._frames > 1 else None)
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
    return Facts(
        f"{head.get('Modality', 'image')}, DICOM", pages,
        (int(head.Columns), int(head.Rows)), np.dtype(np.uint8 if color else kind_of(head)),
        3 if color else 1, None if color else window(head), None if color else padding(head),
        _frame_affine(head), str(head.get("PatientID", "") or "") or None,
        str(head.get("SeriesInstanceUID", "") or "") or None,
    )  # fmt: skip


def _frame_affine(head: Any) -> np.ndarray | None:
    """Return the LPS affine of one slice; without a place, that of its pixel spacing alone."""
    measures = group_of(head, "PixelMeasuresSequence")
    spacing = (
        measures.get("PixelSpacing") or head.get("PixelSpacing") or head.get("ImagerPixelSpacing")
    )
    if not spacing:
        return None
    down, across = (float(each) for each in spacing)
    affine = np.diag((across, down, 1.0, 1.0))
    cosines = group_of(head, "PlaneOrientationSequence").get("ImageOrientationPatient")
    position = _position(head)
    if cosines and position:
        row, column = np.array(cosines, float).reshape(2, 3)
        affine[:3, 0], affine[:3, 1] = row * across, column * down
        affine[:3, 2], affine[:3, 3] = np.cross(row, column), np.array(position, float)
    if measures is not head and measures.get("SpacingBetweenSlices"):
        affine[:3, 2] *= float(measures.SpacingBetweenSlices)
    return affine


def _position(head: Any, frame: int = 0) -> Any:
    return group_of(head, "PlanePositionSequence", frame).get("ImagePositionPatient")


def _stack_affine(head: Any, last: Any, count: int) -> np.ndarray | None:
    """Return the affine of slices from the first frame to the last one's place."""
    affine = _frame_affine(head)
    if affine is None or not _position(head) or not last:
        return affine
    affine[:3, 2] = (np.array(last, float) - np.array(_position(head), float)) / (count - 1)
    return affine


def _check_alike(path: Path, dataset: Any, facts: Facts) -> None:
    size = int(dataset.Columns), int(dataset.Rows)
    if size != facts.size:
        listed = [f"{width} x {height}" for width, height in (size, facts.size)]
        raise InputError(f"{path}: has {listed[0]} pixels, the series' first slice {listed[1]}")


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 160 else f"{text[:160]}..."
