"""MOSE: crowded scenes; the server takes the masks as a ZIP."""

from pathlib import Path

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import require
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.videos import Rules, Submitted, find_late_videos
from prompttune.utils.errors import InputError


def open_set(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/valid/{JPEGImages,Annotations}/<video>`.

    Raises:
        InputError: anything is missing.
    """
    part = root / "valid" if (root / "valid").is_dir() else root
    require(part, PROTOCOL, ["JPEGImages", "Annotations"])
    names = sorted(path.name for path in (part / "JPEGImages").iterdir() if path.is_dir())
    if not names:
        raise InputError(f"{part / 'JPEGImages'}: has no videos; copy the set again")
    require(part, PROTOCOL, [f"Annotations/{name}" for name in names])
    videos = find_late_videos(part / "JPEGImages", part / "Annotations", names)
    return Submitted(segmenter, videos, options, Rules(late=True, without_last=False))


PROTOCOL = Protocol(
    name="mose",
    title="MOSE",
    home="henghuiding.github.io/MOSE (valid)",
    terms="CC BY-NC-SA 4.0",
    open=open_set,
    shots="one",
    how="objects by the mask of the frame in which they appear; scores here are of frames whose "
    "masks lie beside the set, the set's server has the others",
)
