"""Checkpoints, the time limit and the speed of a run, on a trainer that only counts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prompttune.pretraining import callbacks
from prompttune.pretraining.callbacks import KeepState, Speed, TimeBox


class Trainer(SimpleNamespace):
    def __init__(self, **values: Any) -> None:
        super().__init__(global_step=0, max_steps=7, should_stop=False, saved=[], **values)
        self.strategy = SimpleNamespace(reduce_boolean_decision=lambda over, all: over)

    def save_checkpoint(self, path: Path) -> None:
        self.saved.append(self.global_step)


def test_a_state_is_kept_every_few_steps_and_at_the_end() -> None:
    trainer, keep = Trainer(), KeepState(Path("state.json"), 3, {"seed": 1})
    for trainer.global_step in range(1, 8):
        keep.on_train_batch_end(trainer)
    assert trainer.saved == [3, 6, 7]
    checkpoint: dict[str, Any] = {}
    keep.on_save_checkpoint(trainer, None, checkpoint)  # type: ignore[arg-type]
    assert checkpoint == {"run": {"seed": 1}}


def test_a_run_that_is_stopped_is_kept() -> None:
    trainer = Trainer()
    trainer.global_step, trainer.should_stop = 2, True
    KeepState(Path("state.json"), 3, {}).on_train_batch_end(trainer)
    assert trainer.saved == [2]


def test_time_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock.now)
    trainer, box, never = Trainer(), TimeBox(2), TimeBox(None)
    for clock.now, over in ((219.0, False), (221.0, True), (0.0, True)):
        never.on_train_batch_end(trainer)
        box.on_train_batch_end(trainer)
        assert trainer.should_stop is over


def test_speed_is_samples_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: clock.now)
    logged: list[float] = []
    module = SimpleNamespace(log=lambda name, value, **_: logged.append(value))
    speed = Speed(batch=8, steps=2)
    for clock.now in (0.0, 2.0, 3.0, 3.5):
        speed.on_train_batch_end(Trainer(), module)  # type: ignore[arg-type]
    assert logged == pytest.approx([8 / 2, 16 / 3, 16 / 1.5])
