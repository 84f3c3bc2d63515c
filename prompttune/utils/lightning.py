"""What all training runs share: a progress bar that counts steps, and silence from the trainer."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl

from prompttune.utils.progress import Progress


class StepProgress(pl.Callback):
    """Shows `title`, steps done of all, time left and what the module logs for a bar, on stderr."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin at the step where a resumed run goes on."""
        if trainer.is_global_zero:
            ends = trainer.max_steps if trainer.max_steps > 0 else None  # else the time ends it
            self._progress = Progress(self._title, ends, "steps", trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Advance; seldom enough not to make a GPU wait for the values."""
        if self._progress and self._progress.due:
            self._show(trainer)

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Say how it ended."""
        if self._progress:
            self._show(trainer)
            self._progress.close()

    def on_exception(self, *_: Any) -> None:
        """End the line, so that the error stands on one of its own."""
        if self._progress:
            self._progress.close()

    def _show(self, trainer: pl.Trainer) -> None:
        assert self._progress is not None
        values = trainer.progress_bar_metrics.items()
        text = " ".join(f"{name} {value:.3g}" for name, value in values if isinstance(value, float))
        self._progress.show(trainer.global_step, text, now=True)


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
