"""FSS-1000: the 240 test classes of HSNet's list, each image once the query."""

from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.episodes import Draw, Episode, Episodes, EpisodeSet, Loaded
from prompttune.protocols.layout import (
    files_in,
    read_foreground,
    read_lines,
    read_rgb,
    require,
    require_files,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol

IMAGES = 10
"""Of each class, `1.jpg` to `10.jpg`."""
FIRST_LABEL = 760
"""Of the test classes, as HSNet counts them."""


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/<class>/<1..10>.{jpg,png}` (or below `DIR/data`) by `DIR/splits/test.txt`.

    Raises:
        InputError: anything is missing.
    """
    return Episodes(segmenter, episodes(root, options), options)


def episodes(root: Path, options: Options) -> EpisodeSet:
    """Take each image as a query, and draw its examples."""
    require(root, PROTOCOL, ["splits/test.txt"])
    names = sorted(read_lines(root / "splits/test.txt"))
    data = root / "data" if (root / "data").is_dir() else root
    require(data, PROTOCOL, names)
    numbers, suffixes = range(1, IMAGES + 1), ("jpg", "png")
    stems = [data / name / str(number) for name in names for number in numbers]
    require_files(root, PROTOCOL, [Path(f"{stem}.{end}") for stem in stems for end in suffixes])
    draw, drawn = Draw(options.seed), []
    for label, name in enumerate(names, FIRST_LABEL):
        for path in files_in(data / name, "*.jpg"):  # 1, 10, 2, ... as HSNet has them
            query = f"{name}/{path.stem}"
            own = [f"{name}/{number}" for number in numbers]
            others = draw.others(own, query, options.shots, name)
            drawn.append(Episode(query.replace("/", "-"), label, query, tuple(others)))
    classes = range(FIRST_LABEL, FIRST_LABEL + len(names))
    return EpisodeSet(drawn, classes, lambda ref, _: _load(data, ref))


def _load(data: Path, ref: str) -> Loaded:
    image = read_rgb(data / f"{ref}.jpg")
    return Loaded(image, read_foreground(data / f"{ref}.png", image.shape))


PROTOCOL = Protocol(
    name="fss-1000",
    title="FSS-1000",
    home="github.com/HKUSTCV/FSS-1000, with data/splits/fss of github.com/juhongm999/hsnet as "
    "splits/",
    terms="unstated",
    open=open_set,
    how="the 240 test classes, each of their images once the query, examples drawn as HSNet does",
)
