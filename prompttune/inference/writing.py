"""Write what was answered for an image: mask, overlay, objects; pages of a stack into one file."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.reading import AS_STORED, ImageOptions, Picture
from prompttune.geo.georeference import Georeference, copy_world_file, read_georeference
from prompttune.inference.quality import USUAL, Quality
from prompttune.inference.selection import NearestExamples
from prompttune.inference.sliding_window import Result
from prompttune.outputs.coco_ids import CocoIds
from prompttune.outputs.drawing import index_image, overlay
from prompttune.outputs.formats import Answer, write_formats
from prompttune.outputs.instances import coco_results, find_instances, write_json
from prompttune.outputs.paths import instances_path, overlay_path
from prompttune.outputs.rasters import PageWriter
from prompttune.outputs.tables import AreaTable, ReliabilityTable
from prompttune.prompts.composition import Composition, calibration_of
from prompttune.prompts.prompt import Prompt
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.image_files import is_dicom, is_nifti, stem_of
from prompttune.utils.locking import alone_in
from prompttune.volumes.nifti import NiftiWriter
from prompttune.volumes.opening import files_of_volume, pixel_size
from prompttune.volumes.segmentation import SegWriter


@dataclass(frozen=True)
class Slice:
    """A page of an image file; most have one."""

    path: Path
    page: int = 0
    pages: int = 1
    """Of the file."""
    wanted: int = 0
    """Of these; 0: all."""
    refused: str | None = None
    """Why it cannot be segmented."""


@dataclass(frozen=True)
class Asked:
    """How images are segmented, and what is wanted beside masks and overlays."""

    quality: Quality = USUAL
    least_area: int | None = None
    """Also write the objects of at least this many pixels as COCO results; None: not."""
    images: ImageOptions = AS_STORED
    """Bands and stretch."""
    ids: CocoIds = field(default_factory=CocoIds)
    """Of COCO results."""
    formats: tuple[str, ...] = ()
    """Further ones, of `outputs.FORMATS`."""
    shape_area: int = 16
    """Least pixels of a thing in these."""
    pages: ChosenPages | None = None
    """Of stacks; None: all."""
    trust: ReliabilityTable = field(default_factory=ReliabilityTable)
    """Gets a line for each image, where the key tells."""


@dataclass(eq=False)
class _Open:
    """The files of an image whose pages are not all written."""

    files: tuple[PageWriter | NiftiWriter, ...]
    done: int = 0
    objects: list[dict[str, Any]] = field(default_factory=list)


class ResultWriter:
    """Writes results page by page; a file appears when all its pages are there.

    Args:
        prompt: that answered.
        asked: what is wanted.
        folder: of the tables.
    """

    def __init__(
        self, prompt: Prompt | Composition | NearestExamples, asked: Asked, folder: Path
    ) -> None:
        self._prompt, self._asked, self._folder = prompt, asked, folder
        self._areas = AreaTable()
        self._open: dict[Path, _Open] = {}
        self._segs: dict[Path, SegWriter] = {}

    def __enter__(self) -> "ResultWriter":
        return self

    def write(self, each: Slice, mask: Path, picture: Picture, result: Result) -> None:
        """Write the results of one page.

        Args:
            each: the page.
            mask: file of the class map, `.png`, or `.tif` for what needs pages or a place on earth.
            picture: that was segmented.
            result: for it.
        """
        mask.parent.mkdir(parents=True, exist_ok=True)
        self._note_trust(each, result)
        result = _without_empty(result, picture.empty)
        if self._asked.formats:
            self._write_formats(each, mask, result)
        for table in (self._areas, self._asked.trust):
            table.keep(self._folder)
        drawn = overlay(picture.pixels, result.classes, self._prompt.palette)
        self._add_seg(each, mask, result.classes)
        if mask.suffix == ".png":
            objects = self._objects(each, result)
            self._write_objects(mask, objects)
            write_png(overlay_path(mask), drawn)
            copy_world_file(each.path, mask)
            write_png(mask, index_image(result.classes, self._prompt.palette))  # last: it is done
            return
        place = read_georeference(each.path) or Georeference(())
        tags, nodata = place.for_classes(len(self._prompt.palette.classes))
        if mask not in self._open:
            files = (
                PageWriter(overlay_path(mask), None, place.tags),
                NiftiWriter(mask, each.path)
                if is_nifti(mask)
                else PageWriter(mask, self._prompt.palette, tags, self._chosen(each)),
            )
            self._open[mask] = _Open(files)
        begun = self._open[mask]
        class_map = result.classes
        if nodata is not None and picture.empty is not None:
            class_map = np.where(picture.empty, np.uint8(nodata), class_map)
        for file, page in zip(begun.files, (np.asarray(drawn), class_map), strict=True):
            file.add(page)
        begun.objects += self._objects(each, result)
        begun.done += 1
        if begun.done == (each.wanted or each.pages):
            self._write_objects(mask, begun.objects)
            for file in self._open.pop(mask).files:
                file.finish()

    def _chosen(self, each: Slice) -> list[int] | None:
        chosen = self._asked.pages
        return None if chosen is None else chosen.wanted(each.pages, each.path)

    def _add_seg(self, each: Slice, mask: Path, class_map: np.ndarray) -> None:
        """Collect the slices of a DICOM file or series, and write them as DICOM SEG at the end."""
        files = files_of_volume(each.path)
        if not is_dicom(files[0]):
            return
        path = mask.with_name(f"{stem_of(mask)}_seg.dcm")
        classes = self._prompt.palette.classes
        writer = self._segs.setdefault(each.path, SegWriter(path, files, classes))
        writer.add(class_map)
        if each.page + 1 == each.pages:
            self._segs.pop(each.path).finish()

    def _write_formats(self, each: Slice, mask: Path, result: Result) -> None:
        answer = Answer(
            each.path,
            each.page + 1 if each.pages > 1 else None,
            result.classes,
            self._prompt.palette,
            read_georeference(each.path),
            self._asked.shape_area,
            result.scores,
            pixel_size(each.path),
        )
        write_formats(self._asked.formats, answer, mask)
        if "csv" in self._asked.formats:
            self._areas.add(answer)

    def write_tables(self) -> None:
        """Write the table of areas, where it was asked for, and that of what is known of trust."""
        self._areas.write(self._folder)
        self._asked.trust.write(self._folder)

    def _note_trust(self, each: Slice, result: Result) -> None:
        confidence = result.confidence
        calibration, _ = calibration_of(self._prompt)
        self._asked.trust.add(
            each.path,
            each.page + 1 if each.pages > 1 else None,
            result.expected_dice,
            None if confidence is None else float(confidence.mean()),
            result.unlikeness,
            calibration is None or calibration.held_out,
        )

    def _objects(self, each: Slice, result: Result) -> list[dict[str, Any]]:
        prompt, ids = self._prompt, self._asked.ids
        if self._asked.least_area is None:
            return []
        name = prompt.instance_of if isinstance(prompt, Prompt) else None
        found = find_instances(result, self._asked.least_area, name is not None)
        image = ids.image(each.path)
        called = image if each.pages == 1 else f"{image}#{each.page + 1}"
        classes = prompt.palette.classes if name is None else (name,)
        numbered = (replace(one, category=ids.category(one.category, classes)) for one in found)
        return coco_results(numbered, called)

    def _write_objects(self, mask: Path, objects: list[dict[str, Any]]) -> None:
        if self._asked.least_area is not None:
            write_json(instances_path(mask), objects)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for begun in self._open.values():  # a page was no good
            for file in begun.files:
                file.discard()


def _without_empty(result: Result, empty: np.ndarray | None) -> Result:
    """Take back what was found where the picture has no data, so that nothing counts it."""
    if empty is None or not empty.any():
        return result
    classes, scores = np.where(empty, np.uint8(0), result.classes), result.scores * ~empty
    return replace(result, classes=classes, scores=scores)


def finish_tables(folder: Path) -> None:
    """Write the tables of a folder whose images are all done, where a killed run did not.

    Args:
        folder: of results.

    Raises:
        InputError: another run is at work in it.
    """
    if any(folder.glob(".*.csv.part")):
        with alone_in(folder):
            AreaTable().write(folder)
            ReliabilityTable().write(folder)
