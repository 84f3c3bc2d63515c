"""What a pre-training run does beside its steps: checkpoints, its time limit, its speed."""

import time
from collections import deque
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint


class KeepState(Checkpoint):
    """Saves the whole state every some steps and at the end; Lightning calls it after the others.

    Args:
        path: Where the state goes.
        every: Steps.
        run: JSON-able description of the run, kept with the state.
    """

    def __init__(self, path: Path, every: int, run: dict[str, Any]) -> None:
        self._path, self._every, self._run = path, every, run

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save, if it is time."""
        ends = trainer.should_stop or trainer.global_step == trainer.max_steps
        if ends or trainer.global_step % self._every == 0:
            trainer.save_checkpoint(self._path)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the description."""
        checkpoint["run"] = self._run


class TimeBox(pl.Callback):
    """Ends the training after so many minutes, counted from here; None: never.

    Lightning's own timer goes on counting where a resumed run was stopped.
    """

    def __init__(self, minutes: float | None) -> None:
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop all devices after the same step."""
        if self._end is not None:
            over = trainer.strategy.reduce_boolean_decision(time.monotonic() > self._end, all=False)
            trainer.should_stop = trainer.should_stop or over


class Speed(pl.Callback):
    """Logs the samples per second of the last steps, over all devices."""

    def __init__(self, batch: int, steps: int = 20) -> None:
        self._batch = batch
        self._ends: deque[float] = deque(maxlen=steps + 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log, from the second step on."""
        self._ends.append(time.perf_counter())
        taken = self._ends[-1] - self._ends[0]
        if taken:
            speed = self._batch * (len(self._ends) - 1) / taken
            pl_module.log("samples/s", speed, prog_bar=True, batch_size=1)
