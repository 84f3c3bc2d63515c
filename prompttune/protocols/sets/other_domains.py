"""ISIC 2018, Chest X-ray, and SUIM: the sets of INSID3's table of other domains."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.episodes import Episodes, EpisodeSet, Loaded, classes_in_turn
from prompttune.protocols.layout import (
    files_in,
    read_foreground,
    read_rgb,
    require,
    require_files,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.utils.errors import InputError

EPISODES = 600
"""Of ISIC and Chest X-ray."""
Draw = Callable[[Path, Options], EpisodeSet]


def open_set(draw: Draw, root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a set; what `draw` draws from it."""
    return Episodes(segmenter, draw(root, options), options)


KINDS = ("1", "2", "3")
IMAGES, MASKS = "ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"


def isic_episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw from `DIR/ISIC2018_Task1-2_Training_Input/{1,2,3}` and its truth, the kinds in turn.

    Raises:
        InputError: anything is missing.
    """
    require(root, ISIC, [f"{IMAGES}/{kind}" for kind in KINDS] + [MASKS])
    paths = {kind: files_in(root / IMAGES / kind, "*.jpg") for kind in KINDS}
    masks = {
        path: root / MASKS / f"{path.stem}_segmentation.png" for x in paths.values() for path in x
    }
    require_files(root, ISIC, masks.values())

    def load(name: str, label: int) -> Loaded:
        path = root / IMAGES / KINDS[label] / f"{name}.jpg"
        image = read_rgb(path)
        return Loaded(image, read_foreground(masks[path], image.shape))

    images = {kind: [path.stem for path in found] for kind, found in paths.items()}
    return classes_in_turn(root, images, count, options, load)


MARK, SAME_NAME = "_mask", "MCUCXR"


def chest_episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw from `DIR/{CXR_png,masks}`; only images that have a mask count.

    Raises:
        InputError: anything is missing.
    """
    require(root, CHEST_XRAY, ["CXR_png", "masks"])
    names = [path.stem for path in files_in(root / "masks", "*.png")]
    require_files(root, CHEST_XRAY, [_chest_image(root, name) for name in names])

    def load(name: str, label: int) -> Loaded:
        image = read_rgb(_chest_image(root, name))
        return Loaded(image, read_foreground(root / "masks" / f"{name}.png", image.shape))

    return classes_in_turn(root, {"lungs": names}, count, options, load)


def _chest_image(root: Path, name: str) -> Path:
    """Return the image of a mask: only those of Shenzhen are marked."""
    stem = name if SAME_NAME in name else name.removesuffix(MARK)
    return root / "CXR_png" / f"{stem}.png"


CLASSES = ("FV", "HD", "PF", "RI", "RO", "SR", "WR")
"""Of SUIM."""


def suim_episodes(root: Path, options: Options, count: int | None = None) -> EpisodeSet:
    """Draw from `DIR/{images,masks/<class>}` as many episodes as masks show their class.

    Raises:
        InputError: anything is missing.
    """
    require(root, SUIM, ["images", *(f"masks/{name}" for name in CLASSES)])
    paths = {
        name: [path for path in files_in(root / "masks" / name, "*.*") if _shows(path)]
        for name in CLASSES
    }
    empty = [name for name, found in paths.items() if not found]
    if empty:
        raise InputError(f"{root}: no mask shows {', '.join(empty)}; copy the set again")
    require_files(root, SUIM, [_suim_image(root, path) for x in paths.values() for path in x])
    by_name = {(name, path.stem): path for name, found in paths.items() for path in found}

    def load(name: str, label: int) -> Loaded:
        path = by_name[CLASSES[label], name]
        image = read_rgb(_suim_image(root, path))
        return Loaded(image, read_foreground(path, image.shape))

    images = {name: [path.stem for path in found] for name, found in paths.items()}
    return classes_in_turn(root, images, count or len(by_name), options, load)


def _shows(path: Path) -> bool:
    return bool(read_foreground(path).any())


def _suim_image(root: Path, mask: Path) -> Path:
    return root / "images" / f"{mask.name.split('.')[0]}.jpg"


ISIC = Protocol(
    name="isic",
    title="ISIC 2018",
    home="challenge.isic-archive.com/data, parted into 1/, 2/, 3/ by ISIC_Split.py of "
    "github.com/Matt-Su/DR-Adapter",
    terms="CC0, or CC BY-NC as each image states",
    open=partial(open_set, isic_episodes),
    how="600 episodes drawn as INSID3 does, three kinds of lesions in turn",
)
CHEST_XRAY = Protocol(
    name="chest-xray",
    title="Chest X-ray",
    home="kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels",
    terms="as the National Library of Medicine states them; cite",
    open=partial(open_set, chest_episodes),
    how="600 episodes drawn as INSID3 does",
)
SUIM = Protocol(
    name="suim",
    title="SUIM",
    home="kaggle.com/datasets/heyoujue/suim-merged (irvlab.cs.umn.edu/resources/suim-dataset)",
    terms="as its authors state them, for research; cite",
    open=partial(open_set, suim_episodes),
    how="episodes drawn as INSID3 does, as many as there are masks that show their class",
)
