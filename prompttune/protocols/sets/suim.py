"""SUIM: seven classes under water, as INSID3's table of other domains has them."""

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

CLASSES = ("FV", "HD", "PF", "RI", "RO", "SR", "WR")


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{images,masks/<class>}`.

    Raises:
        InputError: anything is missing.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options, count: int | None = None) -> EpisodeSet:
    """Draw as many episodes as there are masks that show their class, the classes in turn."""
    require(root, PROTOCOL, ["images", *(f"masks/{name}" for name in CLASSES)])
    paths = {
        name: [path for path in files_in(root / "masks" / name, "*.*") if _shows(path)]
        for name in CLASSES
    }
    empty = [name for name, found in paths.items() if not found]
    if empty:
        raise InputError(f"{root}: no mask shows {', '.join(empty)}; copy the set again")
    require_files(root, PROTOCOL, [_image(root, path) for x in paths.values() for path in x])
    by_name = {(name, path.stem): path for name, found in paths.items() for path in found}

    def load(name: str, label: int) -> Loaded:
        path = by_name[CLASSES[label], name]
        image = read_rgb(_image(root, path))
        return Loaded(image, read_foreground(path, image.shape))

    images = {name: [path.stem for path in found] for name, found in paths.items()}
    return classes_in_turn(root, images, count or len(by_name), options, load)


def _shows(path: Path) -> bool:
    return bool(read_foreground(path).any())


def _image(root: Path, mask: Path) -> Path:
    return root / "images" / f"{mask.name.split('.')[0]}.jpg"


PROTOCOL = Protocol(
    name="suim",
    title="SUIM",
    home="kaggle.com/datasets/heyoujue/suim-merged (irvlab.cs.umn.edu/resources/suim-dataset)",
    terms="as its authors state them, for research; cite",
    open=open_set,
    how="episodes drawn as INSID3 does, as many as there are masks that show their class",
)
