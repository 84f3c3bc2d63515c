"""COCO panoptic, 2017: a key tells the classes, another one tells instances apart."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from prompttune.evaluation.panoptic import (
    OFFSET,
    Segment,
    panoptic_quality,
    panoptic_stats,
)
from prompttune.inference.segmenter import Segmenter
from prompttune.outputs.instances import find_instances, write_json
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.layout import (
    check_size,
    read_json,
    read_rgb,
    require,
    require_files,
    shortened,
    source,
)
from prompttune.protocols.protocol import Benchmark, Options, Outcomes, Panels, Protocol
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

JSON, PNGS, IMAGES = "annotations/panoptic_val2017.json", "annotations/panoptic_val2017", "val2017"
MIN_AREA = 64
"""Smaller segments of an answer, in pixels, are void."""


class Panoptic(Benchmark):
    """Answers images by keys, and scores them as panopticapi does.

    Args:
        segmenter: with the keys' backbone.
        root: of the set.
        options: one key that names COCO's categories; perhaps one that tells instances apart.
    """

    unit = "images"
    main = "PQ"

    def __init__(self, segmenter: Segmenter, root: Path, options: Options) -> None:
        super().__init__(segmenter)
        content = read_json(root / JSON)
        self.root = root
        self.annotations, self.categories = _read(root, content)
        self.semantic, self.instances = _keys(options, self.categories)
        self._results: list[dict[str, Any]] = []

    @property
    def cases(self) -> Sequence[str]:
        """The names of the images."""
        return list(self.annotations)

    def run(self, cases: Sequence[str], output: Path) -> Iterator[dict[str, Any]]:
        """Answer images one by one; keep the segments as COCO's result format has them."""
        folder = output / "panoptic"
        folder.mkdir(exist_ok=True)
        for case in cases:
            image = read_rgb(self._image(case))
            truth, true_segments = self._truth(case, image.shape)
            found, segments = self.answer(image)
            stats = panoptic_stats(found, segments, truth, true_segments)
            colors = np.stack([found % 256, found // 256 % 256, found // 65536], -1)
            cv2.imwrite(str(folder / f"{case}.png"), colors[..., ::-1].astype(np.uint8))
            one = panoptic_quality([stats], list(self.categories))
            listed = [{"id": n, "category_id": s.category} for n, s in segments.items()]
            yield {
                "stats": {str(category): values for category, values in stats.items()},
                "segments": listed,
                "value": one["PQ"] if one["categories"] else None,
            }

    def answer(self, image: np.ndarray) -> tuple[np.ndarray, dict[int, Segment]]:
        """Return segment numbers, `H x W int64`, and what each is."""
        result = self.segmenter.predict(image, self.semantic)
        by_name = {one["name"]: number for number, one in self.categories.items()}
        own = [0, *(by_name[name] for name in self.semantic.palette.classes)]
        categories = np.array(own)[result.classes]
        found = np.zeros(categories.shape, np.int64)
        segments: dict[int, Segment] = {}
        for mask, category in self._things(image, categories):
            free = mask & (found == 0)
            if free.sum() >= MIN_AREA:
                segments[len(segments) + 1] = Segment(category)
                found[free] = len(segments)
        for category in np.unique(categories[found == 0]).tolist():
            rest = (categories == category) & (found == 0)
            if category and not self.categories[category]["isthing"] and rest.sum() >= MIN_AREA:
                segments[len(segments) + 1] = Segment(category)
                found[rest] = len(segments)
        return found, segments

    def _things(
        self, image: np.ndarray, categories: np.ndarray
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Give the masks of things, large ones first, and the category that most pixels have."""
        things = [number for number, one in self.categories.items() if one["isthing"]]
        if self.instances is None:
            for category in sorted(set(np.unique(categories).tolist()) & set(things)):
                plane = (categories == category).astype(np.uint8)
                count, labels = cv2.connectedComponents(plane, connectivity=8)
                yield from ((labels == label, category) for label in range(1, count))
            return
        result = self.segmenter.predict(image, self.instances)
        masks = []
        for one in find_instances(result, MIN_AREA, one_class=True):
            left, top, width, height = one.box
            mask = np.zeros(categories.shape, bool)
            mask[top : top + height, left : left + width] = one.mask
            masks.append(mask)
        for mask in sorted(masks, key=np.count_nonzero, reverse=True):
            inside = categories[mask]
            votes = {number: np.count_nonzero(inside == number) for number in things}
            best = max(votes, key=lambda number: votes[number])
            if votes[best]:
                yield mask, best

    def _image(self, case: str) -> Path:
        return self.root / IMAGES / f"{case}.jpg"

    def _truth(self, case: str, shape: Sequence[int]) -> tuple[np.ndarray, dict[int, Segment]]:
        path = self.root / PNGS / self.annotations[case]["file_name"]
        colors = read_rgb(path).astype(np.int64)
        check_size(path, colors, shape)
        numbers = colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]
        segments = {
            one["id"]: Segment(one["category_id"], bool(one.get("iscrowd", 0)))
            for one in self.annotations[case]["segments_info"]
        }
        if strange := set(np.unique(numbers).tolist()) - set(segments) - {0}:
            raise InputError(
                f"{path}: segment {min(strange)} is not in {JSON}; is it of another year?"
            )
        return numbers, segments

    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return PQ, SQ, and RQ, of all categories, things, and stuff."""
        each = [
            {int(number): values for number, values in one["stats"].items()}
            for one in outcomes.values()
        ]
        found: dict[str, float] = {}
        for kind, wanted in (("", (0, 1)), (" things", (1,)), (" stuff", (0,))):
            own = [n for n, one in self.categories.items() if one["isthing"] in wanted]
            quality = panoptic_quality(each, own)
            found |= {f"{name}{kind}": quality[name] for name in ("PQ", "SQ", "RQ")}
        self._results = [self._result(*pair) for pair in outcomes.items()]
        return found

    def hand_in(self, output: Path) -> Path | None:
        """Write `panoptic.json`, which belongs to the folder `panoptic`, in COCO's format."""
        path = output / "panoptic.json"
        write_json(path, {"annotations": self._results})
        return path

    def _result(self, case: str, outcome: dict[str, Any]) -> dict[str, Any]:
        return {
            "image_id": self.annotations[case]["image_id"],
            "file_name": f"{case}.png",
            "segments_info": outcome["segments"],
        }

    def panels(self, case: str, output: Path) -> Panels:
        """Return the image with its true and found categories."""
        image = read_rgb(self._image(case))
        order = {number: place for place, number in enumerate(self.categories, 1)}

        def painted(found: np.ndarray, segments: dict[int, Segment]) -> np.ndarray:
            map_ = np.zeros(found.shape, np.uint8)
            for number, one in segments.items():
                map_[found == number] = order[one.category]
            return map_

        palette = Palette.of([one["name"] for one in self.categories.values()])
        truth = painted(*self._truth(case, image.shape))
        answer = painted(*self.answer(image))
        return Panels(image, truth, answer, palette)


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{val2017,annotations/panoptic_val2017,annotations/panoptic_val2017.json}`.

    Raises:
        InputError: anything is missing, a list of another year, or keys of other classes.
    """
    require(root, PROTOCOL, [IMAGES, PNGS, JSON])
    return Panoptic(segmenter, root, options)


def _read(root: Path, content: Any) -> tuple[dict[str, dict[str, Any]], dict[int, dict[str, Any]]]:
    with understood(root / JSON, "list that COCO published; get it again"):
        annotations = {Path(one["file_name"]).stem: one for one in content["annotations"]}
        categories = {int(one["id"]): one for one in content["categories"]}
        segments = [s for one in annotations.values() for s in one["segments_info"]]
        known = all(s["category_id"] in categories and 0 < s["id"] < OFFSET for s in segments)
        known &= all(isinstance(one["name"], str) for one in categories.values())
        known &= all(one["isthing"] in (0, 1) for one in categories.values())
        known &= all(isinstance(one["image_id"], int) for one in annotations.values())
    if not known:
        raise InputError(f"{root / JSON}: is no list of panoptic segments; {source(PROTOCOL)}")
    if any(not name.isdecimal() for name in annotations):
        odd = shortened(next(name for name in annotations if not name.isdecimal()))
        told = f"lists {odd}, no image of 2017; is it of another year?"
        raise InputError(f"{root / JSON}: {told} {source(PROTOCOL)}")
    require_files(root, PROTOCOL, [root / IMAGES / f"{name}.jpg" for name in annotations])
    require_files(root, PROTOCOL, [root / PNGS / one["file_name"] for one in annotations.values()])
    return annotations, categories


def _keys(options: Options, categories: dict[int, dict[str, Any]]) -> tuple[Any, Prompt | None]:
    semantic = [one for one in options.prompts if getattr(one, "instance_of", None) is None]
    instances = [one for one in options.prompts if getattr(one, "instance_of", None) is not None]
    if len(semantic) != 1 or len(instances) > 1:
        raise InputError(
            "--prompt: give one key of COCO's categories, and at most one of instances"
        )
    names = {one["name"] for one in categories.values()}
    strange = [name for name in semantic[0].palette.classes if name not in names]
    if strange:
        raise InputError(f"--prompt: '{strange[0]}' is none of COCO's panoptic categories")
    first = instances[0] if instances else None
    return semantic[0], first if isinstance(first, Prompt) else None


PROTOCOL = Protocol(
    name="coco-panoptic",
    title="COCO panoptic 2017",
    home="cocodataset.org (val2017, panoptic annotations of 2017)",
    terms="annotations CC BY 4.0, photos under flickr's terms",
    open=open_set,
    shots="one",
    takes_key="must",
    how="classes by one key; instances by the colors of another (else connected parts), each of "
    "the category that most of its pixels have; PQ by panopticapi's rule",
)
