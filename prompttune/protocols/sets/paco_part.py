"""PACO-Part: parts of objects in 4 folds, each object cut out, as Matcher and INSID3 define it."""

from pathlib import Path
from typing import Any

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.coco_masks import union_of
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import (
    MATCHERS,
    read_plain_pickle,
    read_rgb,
    require,
    require_files,
    size_of,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

EPISODES, FOLDS = 2500, 4
MAX_TRIES = 10_000
"""Draws of one episode: a list of other images would never give one."""
TRAIN, VAL = "paco/paco_part_train.pkl", "paco/paco_part_val.pkl"
Ref = tuple[Any, str, Any]
"""Image by number and path, and the object."""


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a fold of `DIR/{coco/val2017,paco/paco_part_{train,val}.pkl}`.

    Raises:
        InputError: anything is missing, or the lists are not Matcher's.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw a class, an image, and an object in it, and the examples likewise."""
    require(root, PROTOCOL, ["coco", TRAIN, VAL])
    train, val = read_plain_pickle(root / TRAIN), read_plain_pickle(root / VAL)
    with understood(root / TRAIN, MATCHERS):
        known = list(train["cid2img"])
    drawn = []
    with understood(root / VAL, MATCHERS):
        images = {label: _once(each) for label, each in val["cid2img"].items()}
        annotated = val["img2anno"]
        enough = {label for label, each in images.items() if len(each) > options.shots}
        own = [known[options.fold + FOLDS * number] for number in range(len(known) // FOLDS)]
        own = [label for label in own if label in enough]
        if not own:
            told = f"no class of fold {options.fold} has enough images"
            raise InputError(f"{root / VAL}: {told}; get it again")
        drawing = _Drawing(root, images, annotated, Draw(options.seed), options.shots)
        for number in range(count):
            label, refs = drawing.episode(own)
            query, *others = refs
            name = f"{number:04}-{query[0]}-{label}"
            drawn.append(Episode(name, own.index(label), query, tuple(others)))
    names = {ref[1] for one in drawn for ref in (one.query, *one.examples)}
    require_files(root, PROTOCOL, [root / "coco" / name for name in names])

    def load(ref: Ref, label: int) -> Loaded:
        image = read_rgb(root / "coco" / ref[1])
        with understood(root / VAL, MATCHERS):
            parts = _parts(annotated, ref, own[label])
            outlines = [part["segmentation"] for part in parts]
            rows, columns = _box(parts[0]["obj_bbox"])
        mask = union_of(outlines, image.shape, root / VAL)
        return Loaded(image[rows, columns], mask[rows, columns])

    return EpisodeSet(drawn, range(len(own)), load)


class _Drawing:
    """Draws as Matcher does; an episode whose object has no pixels is drawn anew, as in INSID3."""

    def __init__(self, root: Path, images: Any, annotated: Any, draw: Draw, shots: int) -> None:
        self.root, self.images, self.annotated = root, images, annotated
        self.draw, self.shots = draw, shots

    def episode(self, own: list[Any]) -> tuple[Any, list[Ref]]:
        for _ in range(MAX_TRIES):
            label = self.draw.one(own)
            refs = self._refs(label)
            if all(self._is_shown(ref, label) for ref in refs):
                return label, refs
        raise ValueError("no object has pixels")

    def _refs(self, label: Any) -> list[Ref]:
        """Draw an object as the query, then objects of other images as its examples."""
        refs: list[Ref] = []
        for _ in range(MAX_TRIES):
            number, name = self._image(label)
            if not refs or name != refs[0][1]:
                refs.append((number, name, self._object(number, label)))
            if len(refs) > self.shots:
                return refs
        raise ValueError(f"class {label} has one image")

    def _image(self, label: Any) -> tuple[Any, str]:
        (number, name), *_ = self.draw.one(self.images[label]).items()
        return number, "/".join(name.split("/")[-2:])

    def _object(self, number: Any, label: Any) -> Any:
        own = [one["obj_ann_id"] for one in self.annotated[number] if one["category_id"] == label]
        return self.draw.one(list(dict.fromkeys(own)))

    def _is_shown(self, ref: Ref, label: Any) -> bool:
        rows, columns = _box(_parts(self.annotated, ref, label)[0]["obj_bbox"])
        path = self.root / "coco" / ref[1]
        require_files(self.root, PROTOCOL, [path])
        width, height = size_of(path)
        return len(range(*rows.indices(height))) > 0 and len(range(*columns.indices(width))) > 0


def _once(images: list[dict[Any, str]]) -> list[dict[Any, str]]:
    """Drop images that stand in a list twice."""
    first: dict[Any, dict[Any, str]] = {}
    for image in images:
        number, *_ = image
        first.setdefault(number, image)
    return list(first.values())


def _parts(annotated: Any, ref: Ref, label: Any) -> list[dict[str, Any]]:
    return [
        one for one in annotated[ref[0]]
        if one["category_id"] == label and one["obj_ann_id"] == ref[2]
    ]  # fmt: skip


def _box(box: Any) -> tuple[slice, slice]:
    left, top, width, height = box
    return slice(int(top), int(top + height)), slice(int(left), int(left + width))


PROTOCOL = Protocol(
    name="paco-part",
    title="PACO-Part",
    home="cocodataset.org (2017 images), and the lists paco_part_{train,val}.pkl that "
    "datasets/README.md of github.com/aim-uofa/Matcher names",
    terms="annotations as PACO states them, photos under flickr's terms",
    open=open_set,
    folds=FOLDS,
    how="Matcher's folds and drawing, 2,500 episodes a fold, each object cut out by its box",
)
