"""DAVIS 2016 and 2017: one object, or several, by the mask of the first frame."""

from functools import partial
from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import files_in, read_lines, require
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.videos import Rules, Video, Videos
from prompttune.utils.errors import InputError


def open_set(year: int, root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/{JPEGImages,Annotations}/480p` by `DIR/ImageSets/<year>/val.txt`.

    A folder with `images/<sequence>/*.jpg` and `masks/<sequence>/*.png` alone is taken too: all of
    its sequences.

    Raises:
        InputError: anything is missing.
    """
    protocol = DAVIS_2016 if year == 2016 else DAVIS_2017
    videos = find_videos(root, protocol, year)
    return Videos(segmenter, videos, options, Rules(one_object=year == 2016))


def find_videos(root: Path, protocol: Protocol, year: int) -> list[Video]:
    """Find the sequences of the validation part."""
    kinds = "images", "masks"
    if all((root / kind).is_dir() for kind in kinds):
        names = sorted(path.name for path in (root / "images").iterdir() if path.is_dir())
    else:
        kinds, listed = ("JPEGImages/480p", "Annotations/480p"), f"ImageSets/{year}/val.txt"
        require(root, protocol, [*kinds, listed])
        names = list(dict.fromkeys(map(_sequence, read_lines(root / listed))))
        if strange := [name for name in names if name in ("", ".", "..")]:
            raise InputError(f"{root / listed}: '{strange[0]}' is no sequence; copy the set again")
    if not names:
        raise InputError(f"{root}: has no sequences; copy the set again")
    require(root, protocol, [f"{kind}/{name}" for name in names for kind in kinds])
    return [_video(name, *(root / kind / name for kind in kinds)) for name in names]


def _sequence(line: str) -> str:
    """Return the sequence of a line: 2017 lists sequences, 2016 the paths of frames and masks."""
    first = line.split()[0]
    return Path(first).parent.name if "/" in first else first


def _video(name: str, images: Path, masks: Path) -> Video:
    frames, annotated = files_in(images, "*.jpg"), files_in(masks, "*.png")
    if odd := sorted({x.stem for x in frames} ^ {x.stem for x in annotated}):
        counts = f"{len(frames)} frames and {len(annotated)} masks"
        raise InputError(f"{images}: {counts}, {odd[0]} is one alone; copy the set again")
    if len(frames) < 3:
        raise InputError(f"{images}: {len(frames)} frames, not three; copy the set again")
    return Video(name, tuple(frames), {path.stem: path for path in annotated})


_HOME = "davischallenge.org (TrainVal, 480p)"
_TERMS = "BSD license of the repository, videos CC BY-NC as their pages say"
DAVIS_2016 = Protocol(
    name="davis-2016",
    title="DAVIS 2016",
    home=_HOME,
    terms=_TERMS,
    open=partial(open_set, 2016),
    shots="one",
    how="all objects of a mask are one; J and F without the first and the last frame",
)
DAVIS_2017 = Protocol(
    name="davis-2017",
    title="DAVIS 2017",
    home=_HOME,
    terms=_TERMS,
    open=partial(open_set, 2017),
    shots="one",
    how="semi-supervised, several objects; J and F without the first and the last frame, averaged "
    "over frames, then over objects",
)
