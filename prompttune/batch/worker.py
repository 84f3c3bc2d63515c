"""What each worker of a batch does: it holds the backbone, and segments one part after another."""

import os
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np

from prompttune.batch.job import Job
from prompttune.data.decoding import page_count
from prompttune.data.reading import AS_STORED, ImageOptions, read_picture
from prompttune.inference.batch import read_ahead
from prompttune.inference.quality import USUAL, Quality
from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter
from prompttune.outputs.drawing import index_image
from prompttune.outputs.instances import compress
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.contact_sheet import encode_png
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Work:
    """How the images of a run are segmented; travels to the workers."""

    job: Job
    prompt: Prompt | Composition
    backbone: str
    device: str = "cpu"
    precision: str = "auto"
    quality: Quality = USUAL
    files: bool = False
    """Masks as index PNGs in `masks/` rather than as run lengths in the table."""
    images: ImageOptions = AS_STORED
    """Bands and stretch."""


class Worker:
    """Holds a backbone and segments the parts that it is given.

    Args:
        work: what to do.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.segmenter = Segmenter(work.backbone, work.device, work.precision)
        self.segmenter.check(work.prompt)
        self._read = partial(_read, options=work.images)
        self._list = work.job.open_list()
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Do the parts of a batch, `{"part": N int64}`.

        Returns:
            `images`, their numbers of images, and `error`, what kept a part from being written, ""
            if nothing did: an exception would come wrapped in several of Ray's.
        """
        images, errors = zip(*(self._tried(int(part)) for part in batch["part"]), strict=True)
        return {"images": np.array(images), "error": np.array(errors)}

    def _tried(self, part: int) -> tuple[int, str]:
        try:
            return self.do(part), ""
        except OSError as error:
            return 0, f"{self.work.job.part_file(part)}: {error.strerror or error}"

    def do(self, part: int) -> int:
        """Segment a part, unless it is done; return the number of its images."""
        job = self.work.job
        paths = self._list.paths_of(part)
        if not job.is_done(part):  # a part of a worker that was killed may be
            job.write(part, self._table(part, paths))
        return len(paths)

    def _table(self, part: int, paths: list[str]) -> "pa.Table":
        import pyarrow as pa

        rows: dict[str, dict[str, Any]] = {path: {"path": path} for path in paths}
        opened: deque[str] = deque()

        def readable() -> Iterator[np.ndarray]:
            for path, image in read_ahead(paths, read=self._read):
                if isinstance(image, InputError):
                    rows[path]["error"] = " ".join(str(image).split())
                else:
                    opened.append(path)
                    yield image

        work = self.work
        results = self.segmenter.stream(
            readable(), work.prompt, options=AS_STORED, **work.quality.as_arguments()
        )
        for result in results:
            path = opened.popleft()
            place = f"masks/{part:06}/{paths.index(path):03}.png"
            rows[path] |= self._answer(result, place)
        common = {"worker": self.name}
        return pa.Table.from_pylist([rows[path] | common for path in paths], _schema())

    def _answer(self, result: Result, place: str) -> dict[str, Any]:
        height, width = result.classes.shape
        confidence = result.confidence
        answer: dict[str, Any] = {
            "height": height,
            "width": width,
            "expected_dice": result.expected_dice,
            "confidence": None if confidence is None else float(confidence.mean()),
            "in_domain": result.in_domain,
        }
        if not self.work.files:
            return answer | {"masks": run_lengths(result)}
        drawn = index_image(result.classes, result.palette)
        self.work.job.write_file(place, encode_png(drawn))
        return answer | {"mask_file": place}


def run_lengths(result: Result) -> list[dict[str, Any]]:
    """Return COCO's compressed run lengths of each class that an image shows."""
    found = []
    flat = result.classes.T.ravel()  # COCO counts down the columns
    borders = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate([[0], borders])
    values, lengths = flat[starts], np.diff(np.concatenate([starts, [flat.size]]))
    for number, name in enumerate(result.palette.classes, 1):
        own = values == number
        if own.any():
            changes = np.concatenate([[True], own[1:] != own[:-1]])
            runs = np.add.reduceat(lengths, np.flatnonzero(changes)).tolist()
            counts = runs if not own[0] else [0, *runs]
            area = int(lengths[own].sum())
            found.append(
                {"class": name, "number": number, "area": area, "counts": compress(counts)}
            )
    return found


def _read(path: str, options: ImageOptions) -> np.ndarray:
    """Read an image of any file system, `H x W x 3 uint8`, by the key's bands and stretch."""

    def read(file: Path) -> np.ndarray:
        pages = page_count(file)
        if pages > 1:
            raise InputError(f"has {pages} pages; segment stacks without --ray, or split them")
        return read_picture(file, options).pixels

    try:
        if "://" not in path:
            return read(Path(path))
        with fsspec.open(path, "rb") as remote:
            content = remote.read()
        with TemporaryDirectory(prefix="prompttune-") as folder:
            file = Path(folder) / path.rpartition("/")[2]  # readers look at suffixes
            file.write_bytes(content)
            return read(file)
    except (OSError, ValueError) as error:  # InputError is one of the latter
        raise InputError(str(error) or type(error).__name__) from None


def _schema() -> "pa.Schema":
    import pyarrow as pa

    mask = pa.struct(
        [("class", pa.string()), ("number", pa.int32()), ("area", pa.int64()),
         ("counts", pa.string())]
    )  # fmt: skip
    return pa.schema(
        [
            ("path", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("masks", pa.list_(mask)),
            ("mask_file", pa.string()),
            ("expected_dice", pa.float32()),
            ("confidence", pa.float32()),
            ("in_domain", pa.bool_()),
            ("error", pa.string()),
            ("worker", pa.string()),
        ]
    )
