"""Segment a video file or a folder of frames, and write masks and overlays."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.outputs.drawing import index_image, overlay
from prompttune.outputs.paths import name_outputs, overlay_path
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.errors import InputError
from prompttune.utils.locking import alone_in
from prompttune.utils.paths import check_folder, real
from prompttune.utils.progress import Progress
from prompttune.video.clips import Clip, open_clip
from prompttune.video.frames import segment_frames
from prompttune.video.writing import VideoWriter

Write = Callable[[int, np.ndarray, np.ndarray], None]
"""Writes the results of a frame: its number, `H x W x 3 uint8` and its class map `H x W`."""


def segment_video(
    segmenter: Segmenter,
    prompt: Prompt,
    source: str | Path,
    output: str | Path,
    memory: int = 1,
    kept: Iterable[Path] = (),
) -> int:
    """Segment a video as `segment_frames` does, one frame in memory, and show the progress.

    A file leaves `<stem>_overlay.mp4`, of its size and frame rate and without sound, and the masks
    `<stem>/00000.png`, `00001.png`, ... in `output`; a folder of frames leaves `<stem>.png` and
    `<stem>_overlay.png` for each. Masks are class indices with the palette's colors.

    Args:
        segmenter: with the prompt's backbone.
        prompt: the first frame with its mask, other examples, or a key.
        source: video file, or folder of images.
        output: folder of the results.
        memory: K, earlier frames that prompt the next one, 0 or more.
        kept: further files, such as the examples, that must not be written over.

    Returns:
        How many frames were segmented.

    Raises:
        InputError: as `open_clip`, `Clip.frames` and `segment_frames`; results that would be
            written over an input; another run is at work in `output`. Masks of frames before a
            damaged one stay, a video does not.
        OSError: a result cannot be written.
    """
    if not isinstance(prompt, Prompt):
        raise InputError("video: takes one prompt for all frames; keys are not composed here")
    clip, output = open_clip(source), Path(output)
    results = _images if clip.is_folder else _film
    shown: deque[np.ndarray] = deque()

    def read() -> Iterator[np.ndarray]:
        for frame in clip.frames():
            shown.append(frame)
            yield frame

    class_maps = segment_frames(segmenter, prompt, read(), memory)
    with (
        alone_in(output),
        results(clip, output, prompt.palette, list(kept)) as write,
        Progress("Segmenting", clip.length, "frames") as progress,
    ):
        done = 0
        for class_map in class_maps:
            write(done, shown.popleft(), class_map)
            done += 1
            progress.show(done)
    return done


@contextmanager
def _images(clip: Clip, output: Path, palette: Palette, kept: list[Path]) -> Iterator[Write]:
    """Write masks and overlays that are named as a folder's frames are."""
    masks = list(name_outputs(clip.images, output, kept).values())
    output.mkdir(parents=True, exist_ok=True)

    def write(number: int, frame: np.ndarray, class_map: np.ndarray) -> None:
        write_png(overlay_path(masks[number]), overlay(frame, class_map, palette))
        write_png(masks[number], index_image(class_map, palette))

    yield write


@contextmanager
def _film(clip: Clip, output: Path, palette: Palette, kept: list[Path]) -> Iterator[Write]:
    """Write numbered masks and an annotated video."""
    check_folder(output, "--output")
    masks, film = output / clip.source.stem, output / f"{clip.source.stem}_overlay.mp4"
    inputs = {real(path) for path in (clip.source, *kept)}
    numbered = {path.parent for path in inputs if path.suffix == ".png"}
    if real(film) in inputs or real(masks) in numbered:
        raise InputError(
            f"{film} and {masks}: the result would be written over an input; "
            "choose another --output"
        )
    masks.mkdir(parents=True, exist_ok=True)
    with VideoWriter(film, clip.rate) as writer:

        def write(number: int, frame: np.ndarray, class_map: np.ndarray) -> None:
            write_png(masks / f"{number:05}.png", index_image(class_map, palette))
            writer.add(np.asarray(overlay(frame, class_map, palette)))

        yield write
