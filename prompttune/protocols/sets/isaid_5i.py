"""iSAID-5i: 15 classes seen from above in 3 folds, by the lists that INSID3 names."""

from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import read_indices, read_rgb, require, require_files
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.sets.pascal_5i import read_list
from prompttune.utils.constants import IGNORE

CLASSES, FOLDS = 15, 3


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open a fold of `DIR/{val/images,val/semantic_png,splits/val/fold<N>.txt}`.

    Raises:
        InputError: anything is missing, or a list is none.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options) -> EpisodeSet:
    """Take each image of the list once as a query, and draw its examples."""
    listed = f"splits/val/fold{options.fold}.txt"
    require(root, PROTOCOL, ["val/images", "val/semantic_png", listed])
    each = CLASSES // FOLDS
    classes = range(options.fold * each, (options.fold + 1) * each)
    images = read_list(root / listed, classes)
    draw, drawn = Draw(options.seed), []
    for number, (query, label) in enumerate(images):
        own = [name for name, other in images if other == label]
        others = draw.others(own, query, options.shots, f"{root / listed}: class {label + 1}")
        drawn.append(Episode(f"{number:04}-{query}-{label + 1}", label, query, tuple(others)))
    names = {name for each in drawn for name in (each.query, *each.examples)}
    require_files(root, PROTOCOL, [path for name in names for path in _files(root, name)])
    return EpisodeSet(drawn, classes, lambda name, label: _load(root, name, label))


def _files(root: Path, name: str) -> tuple[Path, Path]:
    mask = f"{name}_instance_color_RGB.png"
    return root / "val/images" / f"{name}.png", root / "val/semantic_png" / mask


def _load(root: Path, name: str, label: int) -> Loaded:
    path, mask = _files(root, name)
    image = read_rgb(path)
    indices = read_indices(mask, image.shape)
    return Loaded(image, indices == label + 1, indices == IGNORE)


PROTOCOL = Protocol(
    name="isaid-5i",
    title="iSAID-5i",
    home="captain-whu.github.io/iSAID, in the patches and lists that docs/data.md of "
    "github.com/visinf/INSID3 names",
    terms="for academic use; images under Google Earth's terms",
    open=open_set,
    folds=FOLDS,
    how="each image of a fold's list once the query, examples drawn as INSID3 does; ignored "
    "pixels do not count",
)
