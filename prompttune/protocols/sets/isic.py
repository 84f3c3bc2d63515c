"""ISIC 2018: skin lesions of three kinds, as INSID3's table of other domains has them."""

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

EPISODES = 600
KINDS = ("1", "2", "3")
IMAGES, MASKS = "ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/ISIC2018_Task1-2_Training_Input/{1,2,3}` and its ground truth.

    Raises:
        InputError: anything is missing.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw the episodes, the three kinds in turn."""
    require(root, PROTOCOL, [f"{IMAGES}/{kind}" for kind in KINDS] + [MASKS])
    paths = {kind: files_in(root / IMAGES / kind, "*.jpg") for kind in KINDS}
    masks = {
        path: root / MASKS / f"{path.stem}_segmentation.png" for x in paths.values() for path in x
    }
    require_files(root, PROTOCOL, masks.values())

    def load(name: str, label: int) -> Loaded:
        path = root / IMAGES / KINDS[label] / f"{name}.jpg"
        image = read_rgb(path)
        return Loaded(image, read_foreground(masks[path], image.shape))

    images = {kind: [path.stem for path in found] for kind, found in paths.items()}
    return classes_in_turn(root, images, count, options, load)


PROTOCOL = Protocol(
    name="isic",
    title="ISIC 2018",
    home="challenge.isic-archive.com/data, parted into 1/, 2/, 3/ by ISIC_Split.py of "
    "github.com/Matt-Su/DR-Adapter",
    terms="CC0, or CC BY-NC as each image states",
    open=open_set,
    how="600 episodes drawn as INSID3 does, three kinds of lesions in turn",
)
