"""What all training runs share: a progress bar that counts steps, and silence from the trainer."""

import logging
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import lightning.pytorch as pl


class StepProgress(pl.Callback):
    """Shows `title`, steps done of all, time left and what the module logs for a bar, on stderr.

    Without rich it writes a line now and then.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Bar | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the step where a resumed run goes on."""
        if trainer.is_global_zero:
            ends = trainer.max_steps if trainer.max_steps > 0 else None  # else the time ends it
            self._bar = open_bar(self._title, ends, trainer.global_step)
            self._shown = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Advance; seldom enough not to make a GPU wait for the values."""
        if self._bar and time.monotonic() - self._shown > self._bar.interval:
            self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Close the bar."""
        if self._bar:
            self._show(trainer)
            self._bar.close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        if self._bar:
            self._bar.close()

    def _show(self, trainer: pl.Trainer) -> None:
        assert self._bar is not None
        values = trainer.progress_bar_metrics.items()
        self._bar.show(
            trainer.global_step,
            " ".join(f"{name} {value:.3g}" for name, value in values if isinstance(value, float)),
        )
        self._shown = time.monotonic()


class Bar(Protocol):
    """A progress bar that is open."""

    interval: float
    """Seconds between two updates."""

    def show(self, step: int, values: str) -> None:
        """Say how far it is, and what has come out."""

    def close(self) -> None:
        """End the line."""


def open_bar(title: str, total: int | None, done: int = 0) -> Bar:
    """Open a bar on stderr that counts steps to `total`, None: without end."""
    try:
        return _RichBar(title, total, done)
    except ImportError:
        return _Lines(title, total)


class _RichBar:
    interval = 0.2

    def __init__(self, title: str, total: int | None, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._bar = Progress(
            "{task.description}", BarColumn(), MofNCompleteColumn(), "steps,",
            TimeRemainingColumn(), "left {task.fields[values]}", console=Console(stderr=True),
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task(title, total=total, completed=done, values="")

    def show(self, step: int, values: str) -> None:
        self._bar.update(self._task, completed=step, values=values)

    def close(self) -> None:
        self._bar.stop()


class _Lines:
    interval = 10.0

    def __init__(self, title: str, total: int | None) -> None:
        self._title, self._total = title, total

    def show(self, step: int, values: str) -> None:
        of_all = f"/{self._total}" if self._total else ""
        print(f"{self._title} {step}{of_all} steps, {values}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning tells about itself; what a user must know comes from the commands."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
