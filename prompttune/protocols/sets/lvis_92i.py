"""LVIS-92i: LVIS' classes in 10 folds, as Matcher defines them."""

from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.coco_masks import union_of
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import (
    MATCHERS,
    read_plain_pickle,
    read_rgb,
    require,
    require_files,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood

EPISODES, FOLDS = 2300, 10
LIST = "lvis_val.pkl"


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a fold of `DIR/{coco/val2017,coco/train2017,lvis_val.pkl}`.

    Raises:
        InputError: anything is missing, or the list is not Matcher's.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Take the classes of the fold in turn; draw a query and examples of each."""
    require(root, PROTOCOL, ["coco", LIST])
    annotated = read_plain_pickle(root / LIST)
    if not isinstance(annotated, dict) or not all(isinstance(x, dict) for x in annotated.values()):
        raise InputError(f"{root / LIST}: is no list of images by class; get Matcher's again")
    enough = [label for label, images in annotated.items() if len(images) > options.shots]
    each = len(enough) // FOLDS
    own = [enough[options.fold + FOLDS * number] for number in range(each)]
    if not own:
        raise InputError(
            f"{root / LIST}: has {len(enough)} classes of enough images, not 10; get it again"
        )
    draw, drawn = Draw(options.seed), []
    with understood(root / LIST, MATCHERS):
        for number in range(count):
            label = number % len(own)
            names = list(annotated[own[label]])
            query = draw.one(names)
            others = draw.others(names, query, options.shots, f"{root / LIST}: {own[label]}")
            name = f"{number:04}-{Path(query).stem}-{own[label]}"
            drawn.append(Episode(name, label, query, tuple(others)))
        refs = {ref for one in drawn for ref in (one.query, *one.examples)}
        require_files(root, PROTOCOL, [root / "coco" / ref for ref in refs])

    def load(ref: str, label: int) -> Loaded:
        image = read_rgb(root / "coco" / ref)
        with understood(root / LIST, MATCHERS):
            outlines = [one["segmentation"] for one in annotated[own[label]][ref]["annotations"]]
        return Loaded(image, union_of(outlines, image.shape, root / LIST))

    return EpisodeSet(drawn, range(len(own)), load)


PROTOCOL = Protocol(
    name="lvis-92i",
    title="LVIS-92i",
    home="cocodataset.org (2017 images), and the list lvis_val.pkl that datasets/README.md of "
    "github.com/aim-uofa/Matcher names",
    terms="annotations CC BY 4.0, photos under flickr's terms",
    open=open_set,
    folds=FOLDS,
    how="Matcher's folds and drawing, 2,300 episodes a fold",
)
