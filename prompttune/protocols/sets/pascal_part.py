"""PASCAL-Part: parts of objects in 4 groups, by Matcher's lists and INSID3's drawing."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.coco_masks import union_of
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import MATCHERS, read_json, read_rgb, require, require_files
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

MAX_EPISODES, MAX_TRIES = 2500, 10_000
GROUPS = ("animals", "indoor", "person", "vehicles")
LIST = "all_obj_part_to_image.json"
OBJECTS = "Annotations_Part_json_merged_part_classes"
LEFT_OUT = ("aeroplane", "TAIL")
Ref = tuple[str, int]
"""Image, and the place of the object in its annotations."""


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a group of `DIR/{JPEGImages,Annotations_Part_json_merged_part_classes,...json}`.

    Raises:
        InputError: anything is missing.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options) -> EpisodeSet:
    """Take the parts of the group in turn; draw images, and an object in each."""
    inner = root / "VOCdevkit/VOC2010"
    root = inner if inner.is_dir() else root
    require(root, PROTOCOL, ["JPEGImages", OBJECTS, LIST])
    group, content = GROUPS[options.fold], read_json(root / LIST)
    draw, drawn = Draw(options.seed), []
    with understood(root / LIST, MATCHERS):
        parts = {
            (name, part): images
            for name, one in content[group]["object"].items()
            for part, images in one["part"].items()
        }
        own = [key for key, x in parts.items() if x["train"] and x["val"] and key != LEFT_OUT]
        if not own:
            raise InputError(f"{root / LIST}: has no parts in the group {group}; get it again")
        for number in range(min(sum(len(x["val"]) for x in parts.values()), MAX_EPISODES)):
            label = number % len(own)
            refs = _draw(root, draw, own[label], parts[own[label]]["val"], options.shots)
            name = f"{number:04}-{refs[0][0]}-{'-'.join(own[label])}"
            drawn.append(Episode(name, label, refs[0], tuple(refs[1:])))
    files = {ref for one in drawn for ref in (one.query, *one.examples)}
    require_files(root, PROTOCOL, [root / "JPEGImages" / f"{ref[0]}.jpg" for ref in files])
    return EpisodeSet(drawn, range(len(own)), lambda ref, label: _load(root, ref, own[label][1]))


def _draw(
    root: Path, draw: Draw, part: tuple[str, str], images: list[str], shots: int
) -> list[Ref]:
    """Draw a query and examples of other images; each shows an object that has the part."""
    refs: list[Ref] = []
    for _ in range(MAX_TRIES):
        image = draw.one(images)
        if any(image == ref[0] for ref in refs):
            continue
        path = root / OBJECTS / f"{image}.json"
        require_files(root, PROTOCOL, [path])
        named = [n for n, one in enumerate(_objects(path)) if one.name == part[0]]
        if not named:
            continue
        chosen = draw.one(named)
        if part[1] in _objects(path)[chosen].masks:
            refs.append((image, chosen))
        if len(refs) == shots + 1:
            return refs
    raise InputError(f"{root / LIST}: too few images show {part[0]} {part[1]}; get it again")


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[int, int, int, int]
    """Left, top, right, bottom."""
    masks: dict[str, list[Any]]
    """Of each part."""

    @classmethod
    def of(cls, content: Any) -> "_Object":
        left, top, right, bottom = (int(value) for value in content["bndbox"].values())
        masks: dict[str, list[Any]] = {}
        for part in content["parts"]:
            masks.setdefault(part["name"], []).extend(part["mask"])
        return cls(content["name"], (left, top, right, bottom), masks)


@lru_cache(maxsize=256)
def _objects(path: Path) -> list[_Object]:
    content = read_json(path)
    with understood(path, MATCHERS):
        return [_Object.of(one) for one in content["object"]]


def _load(root: Path, ref: Ref, part: str) -> Loaded:
    path = root / OBJECTS / f"{ref[0]}.json"
    image = read_rgb(root / "JPEGImages" / f"{ref[0]}.jpg")
    one = _objects(path)[ref[1]]
    mask = union_of(one.masks[part], image.shape, path)
    left, top, right, bottom = one.box
    cut = slice(top, bottom), slice(left, right)
    if not image[cut].size:
        raise InputError(f"{path}: object {ref[1]} has an empty box; copy the set again")
    return Loaded(image[cut], mask[cut])


PROTOCOL = Protocol(
    name="pascal-part",
    title="PASCAL-Part",
    home="host.robots.ox.ac.uk/pascal/VOC/voc2010 (JPEGImages), and the annotations that "
    "datasets/README.md of github.com/aim-uofa/Matcher names",
    terms="flickr photos, for research",
    open=open_set,
    folds=len(GROUPS),
    how="Matcher's groups (0 animals, 1 indoor, 2 person, 3 vehicles) and INSID3's drawing, at "
    "most 2,500 episodes, each object cut out by its box",
)
