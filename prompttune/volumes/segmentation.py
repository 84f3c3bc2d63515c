"""DICOM SEG objects of class maps, bound to the images that were segmented (highdicom)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.utils.errors import warn
from prompttune.utils.io import whole_path
from prompttune.volumes.dicom import read_dataset

MAKER = "prompttune"


class SegWriter:
    """Collects the class maps of DICOM images, and writes one SEG object with a segment a class.

    Args:
        path: of the object, `.dcm`; its folder exists.
        sources: the files that were segmented, in the order of their slices.
        classes: names of the foreground classes.
    """

    def __init__(self, path: Path, sources: Sequence[Path], classes: Sequence[str]) -> None:
        self.path, self._sources, self._classes = path, list(sources), list(classes)
        self._slices: list[np.ndarray] = []

    def add(self, page: np.ndarray) -> None:
        """Add the next slice's class map, `H x W uint8`."""
        self._slices.append(page)

    def finish(self) -> None:
        """Write the object, whole or not at all; nothing where no slice shows a class."""
        pixels = np.stack(self._slices)
        self._slices.clear()
        if not pixels.any():
            warn(f"{self._sources[0]}: shows no class, so that no DICOM SEG is written for it")
            return
        try:
            import highdicom  # noqa: F401
        except ImportError:
            warn("no DICOM SEG is written without highdicom; pip install prompttune[medical]")
            return
        try:
            with whole_path(self.path) as temporary, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of sources that break the standard
                _segmentation(self._sources, pixels, self._classes).save_as(temporary)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # What SEG asks of its sources many files lack; their masks are written in any case.
            warn(f"{self._sources[0]}: no DICOM SEG can be made for it ({error})")

    def discard(self) -> None:
        """Forget the slices."""
        self._slices.clear()


def _sources(paths: Sequence[Path]) -> list[Any]:
    """Read the images, and give those without a thickness the distance between slices."""
    found = [read_dataset(path) for path in paths]
    places = [each.get("ImagePositionPatient") for each in found[:2]]
    apart = 1.0
    if len(places) == 2 and all(places):
        first, second = (np.array(each, float) for each in places)
        apart = float(np.linalg.norm(second - first)) or 1.0
    for each in found:
        if not each.get("SliceThickness"):
            each.SliceThickness = round(apart, 6)
    return found


def _segmentation(sources: Sequence[Path], pixels: np.ndarray, classes: Sequence[str]) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    method = hd.AlgorithmIdentificationSequence(
        name=MAKER, version="1", family=codes.DCM.ArtificialIntelligence
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=hd.sr.CodedConcept(name[:16], f"99{MAKER.upper()}", name[:64]),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=method,
        )
        for number, name in enumerate(classes, 1)
    ]
    return hd.seg.Segmentation(
        source_images=_sources(sources),
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions="1",
        device_serial_number="0",
    )
