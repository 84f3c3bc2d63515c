"""Chest X-ray: the two lungs, as INSID3's table of other domains has them."""

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
MARK, SAME_NAME = "_mask", "MCUCXR"


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{CXR_png,masks}`; only images that have a mask count.

    Raises:
        InputError: anything is missing.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int = EPISODES) -> EpisodeSet:
    """Draw the episodes."""
    require(root, PROTOCOL, ["CXR_png", "masks"])
    names = [path.stem for path in files_in(root / "masks", "*.png")]
    require_files(root, PROTOCOL, [_image(root, name) for name in names])

    def load(name: str, label: int) -> Loaded:
        image = read_rgb(_image(root, name))
        return Loaded(image, read_foreground(root / "masks" / f"{name}.png", image.shape))

    return classes_in_turn(root, {"lungs": names}, count, options, load)


def _image(root: Path, name: str) -> Path:
    """Return the image of a mask: only those of Shenzhen are marked."""
    stem = name if SAME_NAME in name else name.removesuffix(MARK)
    return root / "CXR_png" / f"{stem}.png"


PROTOCOL = Protocol(
    name="chest-xray",
    title="Chest X-ray",
    home="kaggle.com/datasets/nikhilpandey360/chest-xray-masks-and-labels",
    terms="as the National Library of Medicine states them; cite",
    open=open_set,
    how="600 episodes drawn as INSID3 does",
)
