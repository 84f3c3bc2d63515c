"""The one thread that owns the network: windows of all waiting requests share its batches."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.sliding_window import ALL_FLIPS, UNFLIPPED, Kind, Question, Window
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.serve.exactness import is_batch_invariant
from prompttune.serve.metrics import Metrics

T = TypeVar("T")


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class Job:
    """An image that waits for its answer.

    Args:
        image: `H x W x 3 uint8`.
        prompt: answers it, at a known scale.
    """

    def __init__(
        self, image: np.ndarray, prompt: Prompt | Composition, overlap: float, flips: bool
    ) -> None:
        self.image, self.prompt, self.overlap, self.flips = image, prompt, overlap, flips
        self.done: Future[Result] = Future()
        self.is_cancelled = False
        self.question: Question | None = None
        self.waiting: dict[Kind, deque[Window]] = {}
        self.missing = self.total = 0
        self.network_seconds = 0.0
        """Its share of the time that the network computed."""

    def open(self, canvas: int) -> None:
        """Resize the image and cut it into windows."""
        flips = ALL_FLIPS if self.flips else UNFLIPPED
        self.question = Question(self.image, self.prompt, canvas, self.overlap, flips)
        for window in self.question.windows():
            self.waiting.setdefault(window.kind, deque()).append(window)
        self.missing = self.total = sum(map(len, self.waiting.values()))

    @property
    def share(self) -> float:
        """How much of it is answered, in [0, 1]."""
        return 1 - self.missing / self.total if self.total else 0.0

    def take(self, kind: Kind) -> Window | None:
        """Return the next window of a kind, if there is one."""
        windows = self.waiting.get(kind)
        if not windows:
            return None
        window = windows.popleft()
        if not windows:
            del self.waiting[kind]
        return window


class Engine:
    """Answers images in the order in which they come, as many windows at once as fill the device.

    A large image does not hold up a small one: of all that wait, each gives a window in turn. The
    answers are those of `Segmenter.predict`, in fp32 bit for bit: requests share batches where
    that changes no bit here, which is tried once for each kind of batch, else each has its own.

    Args:
        segmenter: from now on used by this engine's thread alone.
        metrics: counts batches and the network's time.
        share: True and False overrule whether requests share batches; None tries it out.
    """

    def __init__(
        self, segmenter: Segmenter, metrics: Metrics | None = None, share: bool | None = None
    ) -> None:
        self.segmenter = segmenter
        self._metrics = metrics or Metrics()
        self._share = True if segmenter.bf16 and share is None else share
        self._shared: dict[Kind, bool] = {}
        self._jobs: deque[Job] = deque()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        workers = max(2, min(4, os.cpu_count() or 2))
        self.pool = ThreadPoolExecutor(workers, "prompttune-image")
        """For what needs no network: decoding, resizing, encoding."""
        self._thread = threading.Thread(target=self._run, name="prompttune-network", daemon=True)
        self._thread.start()

    def submit(
        self,
        image: np.ndarray,
        prompt: Prompt | Composition,
        overlap: float = 0.25,
        flips: bool = False,
    ) -> Job:
        """Let a prompt answer an image; arguments as `Segmenter.predict`, the scale is known.

        Returns:
            A job whose `done` gives the result, or `Cancelled` after `cancel`.
        """
        job = Job(image, prompt, overlap, flips)
        self.pool.submit(self._open, job)
        return job

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """Run something that needs the network between two batches, on the network's thread."""
        done: Future[T] = Future()
        with self._changed:
            self._calls.append((work, done))
            self._changed.notify()
        return done

    def cancel(self, job: Job) -> None:
        """Forget a job; the batch that is being computed is finished all the same."""
        with self._changed:
            job.is_cancelled = True
            if job in self._jobs:
                self._jobs.remove(job)
        if not job.done.done():
            job.done.set_exception(Cancelled())

    def close(self) -> None:
        """End the threads; jobs that wait are cancelled."""
        with self._changed:
            self._closed = True
            jobs = list(self._jobs)
            self._changed.notify()
        for job in jobs:
            self.cancel(job)
        self._thread.join()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def shares(self, kind: Kind) -> bool:
        """Say whether requests share batches of a kind; on the network's thread."""
        if self._share is not None:
            return self._share
        if kind not in self._shared:
            images, canvas, kept = kind
            # What is tried are prompts with all their tokens; of compact ones nothing is known.
            self._shared[kind] = not kept and is_batch_invariant(self.segmenter, images, canvas)
        return self._shared[kind]

    @property
    def shared(self) -> dict[Kind, bool]:
        """Which kinds of batches requests share, as far as it has been tried."""
        return dict(self._shared)

    def _open(self, job: Job) -> None:
        try:
            if not job.is_cancelled:
                job.open(self.segmenter.canvas(None))
        except BaseException as error:
            _fail(job.done, error)
            return
        with self._changed:
            if not job.is_cancelled:
                self._jobs.append(job)
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._calls or self._jobs)
                if self._closed:
                    return
                call = self._calls.popleft() if self._calls else None
                first = self._jobs[0] if self._jobs else None
            if call is not None:
                _do(*call)
            elif first is not None:
                self._answer_batch(first)

    def _answer_batch(self, first: Job) -> None:
        kind = next(iter(first.waiting))
        try:
            several = len(self._jobs) > 1 and self.shares(kind)
            with self._changed:
                batch = self._take(first, kind, several)
            began = time.perf_counter()
            self.segmenter.answer([window for _, window in batch])
        except BaseException as error:  # out of memory, say: these requests fail, others go on
            with self._changed:
                failed = [job for job in self._jobs if job is first or kind in job.waiting]
                for job in failed:
                    self._jobs.remove(job)
            for job in failed:
                _fail(job.done, error)
            return
        seconds = time.perf_counter() - began
        self._metrics.saw_batch(len(batch), len({id(job) for job, _ in batch}), seconds)
        for job, _ in batch:
            job.network_seconds += seconds / len(batch)
            job.missing -= 1
            if not job.missing and not job.is_cancelled:
                self.pool.submit(_finish, job)

    def _take(self, first: Job, kind: Kind, several: bool) -> list[tuple[Job, Window]]:
        """Take windows in turn: one of each job, then the next of each, until a batch is full."""
        size = self.segmenter.batch_size(*kind[:2])
        batch: list[tuple[Job, Window]] = []
        giving = [job for job in self._jobs if kind in job.waiting] if several else [first]
        while giving and len(batch) < size:
            still = []
            for job in giving:
                window = job.take(kind) if len(batch) < size else None
                if window is None:
                    continue
                batch.append((job, window))
                still.append(job)
            giving = still
        # What has given all its windows waits no more; `first` stays first until then.
        self._jobs = deque(job for job in self._jobs if job.waiting)
        return batch


def _finish(job: Job) -> None:
    try:
        assert job.question is not None
        result = job.question.result()
    except BaseException as error:
        _fail(job.done, error)
        return
    job.question = None  # windows and blends are large; whoever holds the job needs them no more
    if not job.done.done():
        job.done.set_result(result)


def _fail(done: "Future[Any]", error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


def _do(work: Callable[[], Any], done: "Future[Any]") -> None:
    if not done.set_running_or_notify_cancel():
        return
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
