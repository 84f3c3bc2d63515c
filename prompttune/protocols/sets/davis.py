"""DAVIS 2016 and 2017: one object, or several, by the mask of the first frame."""

from functools import partial
from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import read_lines, require
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
    if (root / "images").is_dir() and (root / "masks").is_dir():
        names = sorted(path.name for path in (root / "images").iterdir() if path.is_dir())
        images, masks = root / "images", root / "masks"
    else:
        listed = f"ImageSets/{year}/val.txt"
        require(root, protocol, ["JPEGImages/480p", "Annotations/480p", listed])
        names = list(dict.fromkeys(map(_sequence, read_lines(root / listed))))
        images, masks = root / "JPEGImages/480p", root / "Annotations/480p"
    if not names:
        raise InputError(f"{root}: has no sequences")
    return [_video(name, images / name, masks / name) for name in names]


def _sequence(line: str) -> str:
    """Return the sequence of a line: 2017 lists sequences, 2016 the paths of frames and masks."""
    first = line.split()[0]
    return Path(first).parent.name if "/" in first else first


def _video(name: str, images: Path, masks: Path) -> Video:
    frames, annotated = sorted(images.glob("*.jpg")), sorted(masks.glob("*.png"))
    if len(frames) < 3 or [x.stem for x in frames] != [x.stem for x in annotated]:
        counts = f"{len(frames)} frames and {len(annotated)} masks"
        raise InputError(f"{images}: {counts}; each frame needs its mask, and a video three")
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
