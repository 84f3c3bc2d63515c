"""Segment many files: reading, predicting and writing at the same time, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.decoding import page_count
from prompttune.data.inputs import load_image, read_given
from prompttune.data.reading import AS_STORED, ImageOptions, Picture, read_picture, tell_stretch
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.selection import NearestExamples
from prompttune.inference.writing import Asked, ResultWriter, Slice
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.locking import alone_in
from prompttune.utils.progress import Progress
from prompttune.volumes.opening import is_volume

Item = TypeVar("Item")
Read = TypeVar("Read")

AHEAD = 4
"""Images that are read before they are needed, and results that wait to be written."""


def segment_files(
    segmenter: Segmenter,
    prompt: Prompt | Composition | NearestExamples,
    masks: dict[Path, Path],
    asked: Asked,
    output: Path,
) -> list[str]:
    """Segment files, write masks and overlays; return a line for each image that is no good.

    A stack becomes a stack, a GeoTIFF a GeoTIFF. Of a stack with a page that is no good nothing is
    written.

    Args:
        segmenter: with the prompt's backbone.
        prompt: for all images.
        masks: from each image to the mask to be written, see `outputs.name_outputs`.
        asked: how, and what else.
        output: folder of what belongs to all of them.

    Raises:
        InputError: a prompt of another backbone, or another run is at work in `output`.
        OSError: a result cannot be written.
    """
    bad: dict[Path, str] = {}
    opened: deque[tuple[Slice, Picture]] = deque()
    with (
        alone_in(output),
        Progress("Segmenting", len(masks), "images", shown=len(masks) > 1) as progress,
        ResultWriter(prompt, asked, output) as writer,
        Behind() as behind,
        closing(
            read_ahead(_slices(masks, asked.pages), read=lambda each: _read(each, asked.images))
        ) as pictures,
    ):

        def readable() -> Iterator[np.ndarray]:
            for each, picture in pictures:
                if isinstance(picture, InputError):
                    bad.setdefault(each.path, " ".join(str(picture).split()))
                    progress.advance(1 / each.wanted)
                else:
                    opened.append((each, picture))
                    yield picture.pixels

        for result in segmenter.stream(
            readable(), prompt, options=AS_STORED, **asked.quality.as_arguments()
        ):
            each, picture = opened.popleft()
            behind.do(writer.write, each, masks[each.path], picture, result)
            progress.advance(1 / each.wanted)
        behind.finish()
        writer.write_tables()
    return list(bad.values())


def _slices(images: Iterable[Path], chosen: ChosenPages | None) -> Iterator[Slice]:
    for path in images:
        pages = page_count(path)
        try:
            wanted = range(pages) if chosen is None else _of_stack(path, pages, chosen)
        except InputError as error:
            yield Slice(path, wanted=1, refused=str(error))
            continue
        yield from (Slice(path, page, pages, len(wanted)) for page in wanted)


def _of_stack(path: Path, pages: int, chosen: ChosenPages) -> Sequence[int]:
    """Return the chosen pages; a volume is answered whole, on its own grid."""
    if pages > 1 and is_volume(path):
        raise InputError(f"{path}: is a volume, which is segmented whole; leave --pages out")
    return chosen.of_stack(pages, path)


def _read(each: Slice, options: ImageOptions) -> Picture:
    if each.refused:
        raise InputError(each.refused)
    picture = read_given(each.path, lambda path: read_picture(path, options, each.page), "image")
    tell_stretch(each.path, picture, options)
    return picture


def read_ahead(
    paths: Iterable[Item],
    ahead: int = AHEAD,
    read: Callable[[Item], Read] | None = None,
) -> Generator[tuple[Item, Read | InputError], None, None]:
    """Read images in a thread of its own, in order; one that is no good gives its error.

    Args:
        paths: of the images, or whatever `read` takes.
        ahead: how many are read before they are asked for.
        read: reads one; None: `load_image`.
    """
    waiting: deque[tuple[Item, Future[Any]]] = deque()
    reader = ThreadPoolExecutor(1, "read")

    def first() -> tuple[Item, Any]:
        path, image = waiting.popleft()
        try:
            return path, image.result()
        except InputError as error:
            return path, error

    try:
        for path in paths:
            waiting.append((path, reader.submit(read or load_image, path)))  # type: ignore[arg-type]
            if len(waiting) > ahead:
                yield first()
        while waiting:
            yield first()
    finally:
        reader.shutdown(cancel_futures=True)


class Behind:
    """Does work in a thread of its own, in order, at most `behind` pieces late.

    An error of the work is raised by a later `do`, or at the end of the `with` block.
    """

    def __init__(self, behind: int = AHEAD) -> None:
        self._behind = behind
        self._thread = ThreadPoolExecutor(1, "write")
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "Behind":
        return self

    def do(self, work: Callable[..., None], *arguments: Any) -> None:
        """Hand over a piece of work; waits while too much is pending."""
        self._pending.append(self._thread.submit(work, *arguments))
        while len(self._pending) > self._behind:
            self._pending.popleft().result()

    def finish(self) -> None:
        """Wait for all that is pending."""
        while self._pending:
            self._pending.popleft().result()

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._thread.shutdown(cancel_futures=True)
