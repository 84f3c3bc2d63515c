"""What all training runs share: a progress bar that counts steps, and silence from the trainer."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StepProgress(pl.Callback):
    """Shows `title`, steps done of all, time left and what the module logs for a bar, on stderr."""

    def __init__(self, title: str) -> None:
        self._title = title

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the step where a resumed run goes on."""
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("steps,"), TimeRemainingColumn(), TextColumn("left {task.fields[values]}"),
            console=Console(stderr=True),
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task(
            self._title, total=trainer.max_steps, completed=trainer.global_step, values=""
        )

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Advance."""
        shown = trainer.progress_bar_metrics
        values = " ".join(
            f"{name} {value:.3f}" for name, value in shown.items() if isinstance(value, float)
        )
        self._bar.update(self._task, completed=trainer.global_step, values=values)

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self._bar.stop()

    def on_exception(self, *_: Any) -> None:
        """Close the bar, so that the error stands on a line of its own."""
        if hasattr(self, "_bar"):
            self._bar.stop()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning tells about itself; what a user must know comes from the commands."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            yield
        finally:
            logger.setLevel(level)
