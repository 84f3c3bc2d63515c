"""Objects in a class map, as COCO results (cocodataset.org/#format-results).

An object is a connected component of a class. Where a prompt gave every instance a color of its
own (`Prompt.from_instances`), it is a connected component of one color, so that objects that touch
stay apart if the network colored them differently.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from prompttune.utils.io import write_whole

MIN_AREA = 16


class Segmented(Protocol):
    """An answer for one image, such as `prompttune.Result`."""

    @property
    def classes(self) -> np.ndarray:
        """`H x W uint8`, 0 is background."""

    @property
    def scores(self) -> np.ndarray:
        """`C x H x W float32` in [0, 1], one plane a foreground class."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One object."""

    category: int
    """1 for the first class of the palette, and so on."""
    score: float
    """The mean score of its class over its pixels, in [0, 1]."""
    box: tuple[int, int, int, int]
    """Left, top, width, height in pixels."""
    mask: np.ndarray
    """Its pixels inside the box, `height x width bool`."""
    size: tuple[int, int]
    """Height and width of the image."""


def find_instances(
    result: Segmented, least_area: int = MIN_AREA, one_class: bool = False
) -> list[Instance]:
    """Find the objects of an answer: components whose pixels touch by side or corner.

    Args:
        result: of `Segmenter.predict`.
        least_area: smaller components, in pixels, are left out.
        one_class: the answer's classes are colors of instances of one class: all get category 1,
            and their score is that of being any instance.
    """
    whole = result.scores.sum(0) if one_class else None
    found = []
    for index in np.unique(result.classes[result.classes > 0]).tolist():
        plane = (result.classes == index).astype(np.uint8)
        scores = result.scores[index - 1] if whole is None else whole
        count, labels, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
        for label in range(1, count):
            left, top, width, height, area = stats[label].tolist()
            if area < least_area:
                continue
            inside = np.s_[top : top + height, left : left + width]
            mask = labels[inside] == label
            score = min(float(scores[inside][mask].mean(dtype=np.float64)), 1.0)
            box = (left, top, width, height)
            category = 1 if one_class else index
            found.append(Instance(category, score, box, mask, result.classes.shape))
    return found


def coco_results(instances: Iterable[Instance], image_id: int | str) -> list[dict[str, Any]]:
    """Return the instances of one image as COCO's results, masks as compressed RLE."""
    return [
        {
            "image_id": image_id,
            "category_id": each.category,
            "segmentation": {"size": list(each.size), "counts": compress(run_lengths(each))},
            "bbox": list(each.box),
            "score": round(each.score, 5),
        }
        for each in instances
    ]


def coco_image_id(image: Path) -> int | str:
    """Return the number that a file's name is, as COCO names its images; else the stem."""
    return int(image.stem) if image.stem.isdecimal() else image.stem


def run_lengths(instance: Instance) -> list[int]:
    """Count pixels outside, inside, outside, ... of the whole image, column by column."""
    (left, top, _, _), (height, width) = instance.box, instance.size
    columns = np.pad(instance.mask.T.astype(np.int8), ((0, 0), (1, 1)))
    changes = np.diff(columns, axis=1)
    offsets = (left + np.arange(len(columns)))[:, None] * height + top
    places = np.arange(changes.shape[1])[None] + offsets
    starts, ends = places[changes == 1], places[changes == -1]
    apart = starts[1:] != ends[:-1]  # a run goes on from the foot of a column to the next one's top
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    borders = np.stack([starts, ends], 1).ravel()
    counts = np.diff(np.concatenate([[0], borders, [height * width]])).tolist()
    return counts if counts[-1] else counts[:-1]


def compress(counts: list[int]) -> str:
    """Write run lengths as COCO's API does: differences, five bits a character.

    Source: `rleToString` (cocoapi, common/maskApi.c).
    """
    text = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits | 32 if more else bits)))
    return "".join(text)


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    write_whole(path, json.dumps(content))
