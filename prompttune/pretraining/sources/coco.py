"""COCO annotations as class and instance maps: polygons, run lengths, panoptic PNGs."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np

from prompttune.data.annotations.coco_file import CocoFile
from prompttune.data.annotations.outlines import decode_runs, fill_polygon
from prompttune.data.opencv import decode_image
from prompttune.pretraining.sources.packed import Files
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED

MAX_CLASSES = 253
_MAX_INSTANCES = 250


@dataclass(frozen=True)
class Annotations:
    """A COCO file: for each image name its segments; categories become classes 1, 2, ..."""

    classes: dict[int, int]
    """Class of each category id, in the order of the ids."""
    things: frozenset[int]
    """Category ids whose segments are single objects."""
    segments: dict[str, list[dict[str, Any]]]
    """By image name; a panoptic image has all of its PNG's in one entry."""
    masks: str
    """The folder of the panoptic PNGs."""
    place: str
    """How errors name the file."""

    @classmethod
    def parse(cls, content: bytes, masks: str, place: str) -> "Annotations":
        """Parse a file's content.

        Raises:
            InputError: It is not what COCO calls an annotation file, or has too many categories.
        """
        parsed = CocoFile.parse(content, place)
        try:
            names = {one.id: one.file_name for one in parsed.images}
            segments = defaultdict(list)
            for one in parsed.annotations:
                segments[names[one["image_id"]]].append(one)
            ids = sorted(one.id for one in parsed.categories)
            things = frozenset(one.id for one in parsed.categories if one.is_thing)
        except MALFORMED as error:
            raise InputError(f"{place}: no COCO annotations ({error!r})") from error
        if len(ids) > MAX_CLASSES:
            raise InputError(f"{place}: {len(ids)} categories; at most {MAX_CLASSES} can be used")
        classes = {value: number for number, value in enumerate(ids, 1)}
        return cls(classes, things, dict(segments), masks, place)

    def maps(self, name: str, shape: tuple[int, ...], files: Files) -> dict[str, np.ndarray]:
        """Return `classes` and `instances` of an image, `H x W uint8` each, 255 ignored.

        An image that is not named in the file has no segments.
        """
        maps = {key: np.zeros(shape[:2], np.uint8) for key in ("classes", "instances")}
        segments = self.segments.get(name, [])
        try:
            if segments and "segments_info" in segments[0]:
                self._paint_panoptic(maps, segments[0], files)
            else:
                self._paint_segments(maps, segments)
        except (*MALFORMED, cv2.error) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.place}: unusable annotation of {name} ({error!r})") from error
        return maps

    def _paint_segments(self, maps: dict[str, np.ndarray], segments: list[dict[str, Any]]) -> None:
        shape = maps["classes"].shape
        masks = [(decode_segment(one["segmentation"], shape), one) for one in segments]
        # Small ones last, so that they lie above what holds them; crowds have no single objects.
        masks.sort(key=lambda item: (not item[1].get("iscrowd", 0), -int(item[0].sum())))
        for number, (mask, one) in enumerate(masks, 1):
            self._paint(maps, mask, one, number)

    def _paint_panoptic(
        self, maps: dict[str, np.ndarray], entry: dict[str, Any], files: Files
    ) -> None:
        path = PurePosixPath(self.masks) / entry["file_name"]
        encoded = files.read(str(path))
        if encoded is None:
            raise InputError(f"{files.place(str(path))}: no such file")
        decoded = decode_image(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        if decoded is None or decoded.shape[:2] != maps["classes"].shape:
            raise InputError(f"{files.place(str(path))}: not a PNG of the size of its image")
        ids = decoded.astype(np.int64) @ np.array((1, 256, 65536))
        for number, one in enumerate(entry["segments_info"], 1):
            self._paint(maps, ids == one["id"], one, number)

    def _paint(
        self, maps: dict[str, np.ndarray], mask: np.ndarray, one: dict[str, Any], number: int
    ) -> None:
        category = one["category_id"]
        crowd = bool(one.get("iscrowd", 0))
        maps["classes"][mask] = IGNORE if crowd else self.classes[category]
        if crowd or number > _MAX_INSTANCES:
            maps["instances"][mask] = IGNORE
        else:
            maps["instances"][mask] = number if category in self.things else 0


def decode_segment(segmentation: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a segment, polygons or run lengths, as a mask `H x W bool`.

    Raises:
        ValueError: Run lengths that do not fill the image.
    """
    if isinstance(segmentation, list):
        mask = np.zeros(shape[:2], bool)
        for polygon in segmentation:
            points = np.asarray(polygon, np.float64).reshape(-1, 2)
            mask |= fill_polygon(points, shape[0], shape[1])
        return mask
    if tuple(segmentation["size"]) != tuple(shape[:2]):
        raise ValueError("run lengths of another size")
    return decode_runs(segmentation["counts"], segmentation["size"])
