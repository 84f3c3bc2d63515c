"""Segment a list of images with the machines of a Ray cluster."""

import csv
import io
import json
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from prompttune.batch.job import PART_SIZE, Job
from prompttune.batch.worker import Work, Worker
from prompttune.inference.quality import Quality
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import options_of, recipes_of
from prompttune.utils.errors import InputError
from prompttune.utils.locking import alone_in
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.utils.progress import Progress

if TYPE_CHECKING:
    from prompttune.data.reading import ImageOptions

BAD = "bad.csv"
SECONDS = 5
"""That the head of a cluster has to answer."""
READERS = 16
"""Threads that look at what was done."""
MAX_BLOCKS = 20_000
"""Pieces in which a run is handed out."""


@dataclass(frozen=True)
class Done:
    """What a run has come to."""

    images: int
    """Of the whole list."""
    before: int
    """That an earlier run had done."""
    bad: int
    """That could not be read; `bad.csv` in the run's folder says why."""


def ray_predict(
    images: Iterable[str],
    prompt: Prompt | Composition,
    output: str,
    *,
    address: str = "auto",
    workers: tuple[int, int] = (1, 1024),
    backbone: str = DEFAULT_BACKBONE,
    device: str = "cpu",
    precision: str = "auto",
    overlap: float = 0.25,
    flips: bool = False,
    zooms: Sequence[float] = (1.0,),
    files: bool = False,
    part_size: int = PART_SIZE,
    options: "ImageOptions | None" = None,
) -> Done:
    """Segment images with a Ray cluster; a run that was stopped goes on where it was.

    Ray Data hands parts of the list to actors, each with a backbone of its own, and starts more of
    them while there are cores or GPUs for them. Where a worker or a machine dies, its parts are
    done again by others.

    Args:
        images: paths or URLs of any file system that fsspec has, which all machines can read.
        prompt: a key, a composition, or examples whose scale is known.
        output: folder, or its URL, that all machines can write: `part-NNNNNN.parquet` with a row an
            image, and `bad.csv` of those that could not be read.
        address: `HOST:PORT` of the cluster's head, "auto" for the cluster that this machine is part
            of, or "local" for this machine alone.
        workers: the fewest and the most actors.
        backbone: a name, or a path that all machines have.
        device: "cpu", a core each, or "cuda", a GPU each.
        precision: "fp32", "bf16" or "auto".
        overlap: as in `Segmenter.predict`.
        flips: as in `Segmenter.predict`.
        zooms: as in `Segmenter.predict`.
        files: masks as index PNGs in `masks/` instead of run lengths in the table.
        part_size: images that are done, or done again, together.
        options: the bands and the stretch by which stored numbers become colors; None: as the key
            was tuned.

    Returns:
        How many images were done, and what was no good.

    Raises:
        InputError: no cluster there, a prompt of another backbone, no images, or a folder that
            holds another run, or in which another is at work, or damaged results.
    """
    if not 1 <= workers[0] <= workers[1]:
        raise InputError(f"workers {workers}: give the fewest and the most, at least 1")
    if part_size < 1:
        raise InputError(f"part_size {part_size}: must be at least 1")
    checked = Segmenter(backbone, "cpu")
    checked.check(prompt)
    prompt = checked.scaled(prompt)  # once, not by each worker
    job = Job(output if "://" in output else os.path.abspath(output))
    known = options or options_of(recipes_of(prompt))
    quality = Quality(overlap, flips, tuple(zooms))
    work = Work(job, prompt, backbone, device, precision, quality, files, known)
    with alone_in(Path(job.at("")), clean=False) if job.is_local else nullcontext():
        parts = job.begin(images, _settings(work, checked), part_size)
        missing = job.missing(parts)
        if missing:
            with _Cluster(address):
                _run(work, missing, workers, part_size)
        return _finish(job, parts, parts - len(missing), part_size)


def _run(work: Work, missing: list[int], workers: tuple[int, int], part_size: int) -> None:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    resources: dict[str, Any] = {"num_gpus": 1} if work.device == "cuda" else {"num_cpus": 1}
    least, most = workers[0], max(workers[0], min(workers[1], len(missing)))
    todo = ray.data.from_items(
        [{"part": part} for part in missing], override_num_blocks=min(len(missing), MAX_BLOCKS)
    )
    done = todo.map_batches(
        Worker,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        **resources,
    )
    with Progress("Segmenting", len(missing) * part_size, "images") as progress:
        for row in done.iter_rows():
            if row["error"]:
                raise InputError(f"{row['error']}; then the same command goes on")
            progress.advance(row["images"])


def _settings(work: Work, segmenter: Segmenter) -> dict[str, Any]:
    """Return what decides the answers, as JSON has it."""
    chosen = asdict(
        work, dict_factory=lambda pairs: {k: v for k, v in pairs if k not in ("job", "prompt")}
    )
    chosen.pop("device")
    chosen |= chosen.pop("quality") | {"zooms": list(work.quality.zooms)}
    names = [part.name for part in work.prompt.parts]
    pixels = [
        float(plane.double().sum())
        for part in work.prompt.parts
        for plane in (*part.images, *part.colors)
    ]
    kept = [
        part.kept_tokens and crc32(repr(part.kept_tokens).encode()) for part in work.prompt.parts
    ]
    settings = chosen | {
        "fingerprint": segmenter.network.fingerprint,
        "prompt": names,
        "scales": [part.scale for part in work.prompt.parts],
        "kept_tokens": kept,
        "prompt_sums": pixels,
    }
    return json.loads(json.dumps(settings))  # tuples become lists, as in what was kept


def _finish(job: Job, parts: int, before: int, part_size: int) -> Done:
    """Count what was done, and write the table of images that are no good."""
    import pyarrow.parquet as pq

    def read(part: int) -> tuple[int, list[dict[str, str]]]:
        try:
            with job.fs.open(job.part_file(part), "rb") as file:
                table = pq.read_table(file, columns=["path", "error"])
        except (OSError, ValueError):  # pyarrow's errors are of these
            raise InputError(
                f"{job.part_file(part)}: is damaged; delete it, and the same command makes it anew"
            ) from None
        return table.num_rows, table.filter(table["error"].is_valid()).to_pylist()

    images, bad = 0, []
    with ThreadPoolExecutor(READERS) as readers:  # another machine's files take their time
        for rows, wrong in readers.map(read, range(parts)):
            images += rows
            bad += wrong
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "error"])
    writer.writerows([row["path"], row["error"]] for row in bad)
    job.write_file(BAD, text.getvalue().encode())
    return Done(images, min(before * part_size, images), len(bad))


class _Cluster:
    """Joins a Ray cluster, unless this process has; leaves what it joined."""

    def __init__(self, address: str) -> None:
        self._address, self._joined = address, False

    def __enter__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError("--ray needs Ray: pip install 'prompttune[batch]'") from error
        if ray.is_initialized():
            return
        _check_answers(self._address)
        if self._address == "local":  # where Ray starts on its own, its workers yield to all else
            os.environ.setdefault("RAY_worker_niceness", "0")
        try:
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"--ray {self._address}: no Ray cluster there ({reason})") from None
        self._joined = True

    def __exit__(self, *_: object) -> None:
        if self._joined:
            import ray

            ray.shutdown()


def _check_answers(address: str) -> None:
    """Knock before Ray does, which waits for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--ray {address}: give HOST:PORT of the cluster's head, auto or local")
    try:
        socket.create_connection((host, int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--ray {address}: does not answer ({error}); is the cluster started (`ray start "
            "--head`), and is that its address?"
        ) from None
