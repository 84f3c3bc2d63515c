"""Segment many files: reading, predicting and writing at the same time, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.answer import Result
from prompttune.composition import Composition
from prompttune.drawing import index_image, overlay, write_png
from prompttune.errors import InputError
from prompttune.examples import load_image
from prompttune.instances import coco_image_id, coco_results, find_instances, write_json
from prompttune.outputs import instances_path, overlay_path
from prompttune.progress import Progress
from prompttune.prompt import Prompt
from prompttune.segmenter import Segmenter
from prompttune.selection import NearestExamples

AHEAD = 4
"""Images that are read before they are needed, and results that wait to be written."""


def segment_files(
    segmenter: Segmenter,
    prompt: Prompt | Composition | NearestExamples,
    masks: dict[Path, Path],
    overlap: float = 0.25,
    flips: bool = False,
    least_area: int | None = None,
) -> list[str]:
    """Segment files, write masks and overlays; return a line for each image that is no good.

    Args:
        segmenter: with the prompt's backbone.
        prompt: for all images.
        masks: from each image to the mask to be written, see `outputs.name_outputs`.
        overlap: as in `Segmenter.predict`, `flips` likewise.
        least_area: also write the objects of at least this many pixels as COCO results; None: not.

    Raises:
        InputError: a prompt of another backbone.
        OSError: a result cannot be written.
    """
    bad: list[str] = []
    opened: deque[tuple[Path, np.ndarray]] = deque()

    def write(path: Path, image: np.ndarray, result: Result) -> None:
        if least_area is not None:
            one_class = isinstance(prompt, Prompt) and prompt.instance_of is not None
            found = find_instances(result, least_area, one_class)
            write_json(instances_path(masks[path]), coco_results(found, coco_image_id(path)))
        write_png(overlay_path(masks[path]), overlay(image, result.classes, prompt.palette))
        write_png(masks[path], index_image(result.classes, prompt.palette))

    with (
        Progress("Segmenting", len(masks), "images", shown=len(masks) > 1) as progress,
        Behind() as writer,
        closing(read_ahead(masks)) as images,
    ):

        def readable() -> Iterator[np.ndarray]:
            for path, image in images:
                if isinstance(image, InputError):
                    bad.append(" ".join(str(image).split()))
                    progress.advance()
                else:
                    opened.append((path, image))
                    yield image

        for result in segmenter.stream(readable(), prompt, overlap, flips=flips):
            writer.do(write, *opened.popleft(), result)
            progress.advance()
    return bad


def read_ahead(
    paths: Iterable[Path], ahead: int = AHEAD
) -> Generator[tuple[Path, np.ndarray | InputError], None, None]:
    """Read images in a thread of its own, in order; one that is no good gives its error."""
    waiting: deque[tuple[Path, Future[np.ndarray]]] = deque()
    reader = ThreadPoolExecutor(1, "read")

    def first() -> tuple[Path, np.ndarray | InputError]:
        path, image = waiting.popleft()
        try:
            return path, image.result()
        except InputError as error:
            return path, error

    try:
        for path in paths:
            waiting.append((path, reader.submit(load_image, path)))
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

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            while kind is None and self._pending:
                self._pending.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)
