"""Read a video file, or a folder of frames, one frame at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from prompttune.data.reading import read_image
from prompttune.outputs.paths import find_images
from prompttune.utils.errors import InputError

DEFAULT_RATE = Fraction(25)
MISSING_SECONDS = 0.5
"""A file that stops this long before the end that its header promises has lost frames."""


@dataclass(frozen=True)
class Clip:
    """A video file, or a folder of images in the order of their names."""

    source: Path
    images: tuple[Path, ...] = ()
    """The frames of a folder."""
    rate: Fraction = DEFAULT_RATE
    """Frames a second."""
    length: int | None = None
    """How many frames, as far as the file says so."""

    @property
    def is_folder(self) -> bool:
        """Say whether the frames are images in a folder."""
        return bool(self.images)

    def frames(self) -> Iterator[np.ndarray]:
        """Read the frames in order, each `H x W x 3 uint8` RGB, upright; one is in memory.

        Raises:
            InputError: a frame that cannot be read or has another size than the first, a file
                without frames, or one that ends earlier than its header says.
        """
        frames = map(read_image, self.images) if self.is_folder else _decoded(self.source)
        first = None
        for number, frame in enumerate(frames):
            if first is None:
                first = frame.shape
            elif frame.shape != first:
                called = self.images[number] if self.is_folder else f"{self.source}: frame {number}"
                sizes = [f"{width} x {height}" for height, width, _ in (frame.shape, first)]
                raise InputError(
                    f"{called} is {sizes[0]}, but the first frame is {sizes[1]}; "
                    "all frames of a video need one size"
                )
            yield frame
        if first is None:
            raise InputError(f"{self.source}: has no frames; copy or export it again")


def open_clip(source: str | Path) -> Clip:
    """Find out what a video file or a folder of frames holds, without decoding it.

    Raises:
        InputError: no such file, not a video, damaged, or a folder without images.
    """
    source = Path(source)
    if source.is_dir():
        images = tuple(path for path in find_images([source]) if path.parent == source)
        if not images:
            raise InputError(f"{source}: no images in this folder, only in folders below it")
        return Clip(source, images, length=len(images))
    with _opened(source) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
        return Clip(source, rate=Fraction(rate), length=stream.frames or None)


def _opened(path: Path) -> "av.container.InputContainer":
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes); copy or export it again")
    try:
        container = av.open(path, metadata_errors="replace")
    except av.FFmpegError as error:
        raise InputError(
            f"{path}: is not a video that can be read, or is truncated ({error.strerror}); "
            "copy or export it again"
        ) from None
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: has sound but no pictures; name a video")
    return container


def _decoded(path: Path) -> Iterator[np.ndarray]:
    """Decode a file, and say so where it breaks off."""
    number, seconds = 0, 0.0
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            for frame in container.decode(stream):
                number += 1
                seconds = _end(frame, seconds)
                yield _upright(frame)
        except av.FFmpegError as error:
            raise InputError(
                f"{path}: ends early or is damaged after {number} frames ({error.strerror}); "
                "copy or export it again"
            ) from None
        promised = _promised_seconds(container)
    if number and promised - seconds > MISSING_SECONDS:
        raise InputError(
            f"{path}: ends early, after {number} frames and {seconds:.1f} of {promised:.1f} "
            "seconds; copy or export it again"
        )


def _end(frame: av.VideoFrame, before: float) -> float:
    """Return when a frame ends, in seconds; of one without a time, when the last one ended."""
    if frame.pts is None or frame.time_base is None:
        return before
    return float((frame.pts + (frame.duration or 0)) * frame.time_base)


def _promised_seconds(container: "av.container.InputContainer") -> float:
    """Return when the pictures end as the header says it; 0 where it does not."""
    stream = container.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration is None or len(container.streams) > 1:  # sound may last longer
        return 0.0
    return ((container.start_time or 0) + container.duration) / av.time_base


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """Turn a decoded frame as its rotation tag asks for: phones store upright films lying."""
    pixels = frame.to_ndarray(format="rgb24")
    turned = np.rot90(pixels, round(frame.rotation / 90))
    return np.ascontiguousarray(turned)
