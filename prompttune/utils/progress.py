"""How far a long piece of work is: a bar where stderr is a terminal, else a line now and then."""

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self


class _Shown(Protocol):
    interval: float

    def show(self, done: float, text: str) -> None: ...

    def close(self, done: float) -> None: ...


class Progress:
    """Counts what is done, on stderr; a context manager that ends the line.

    Args:
        title: what is being done.
        total: how much there is; None where that is not known.
        unit: what is counted, e.g. "steps"; without it percents are shown.
        done: how much was done before.
        shown: False counts in silence.
    """

    def __init__(
        self,
        title: str,
        total: float | None,
        unit: str = "",
        done: float = 0,
        shown: bool = True,
    ) -> None:
        self.done = done
        self._shown = _shown(title, total, unit, done) if shown else None
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether `show` would be seen now: what it is to tell may cost something to know."""
        shown = self._shown
        return shown is not None and time.monotonic() - self._last >= shown.interval

    def show(self, done: float, text: str = "", now: bool = False) -> None:
        """Say how much is done, and something about it; `now` even if a line was just written."""
        self.done = done
        if self._shown and (now or self.due):
            self._shown.show(done, text)
            self._last = time.monotonic()

    def advance(self, by: float = 1, text: str = "") -> None:
        """Say how much more is done, and something about it."""
        self.show(self.done + by, text)

    def close(self) -> None:
        """End the line."""
        if self._shown:
            self._shown.close(self.done)
            self._shown = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        self.close()


def _shown(title: str, total: float | None, unit: str, done: float) -> _Shown:
    if sys.stderr.isatty():
        try:
            return _Bar(title, total, unit, done)
        except ImportError:  # machines that only train need no rich
            pass
    return _Lines(title, total, unit)


class _Bar:
    interval = 0.2

    def __init__(self, title: str, total: float | None, unit: str, done: float) -> None:
        from rich import progress
        from rich.console import Console

        count = progress.MofNCompleteColumn() if unit else progress.TaskProgressColumn()
        self._bar = progress.Progress(
            "{task.description}", progress.BarColumn(), count, unit,
            progress.TimeRemainingColumn(elapsed_when_finished=True), "{task.fields[text]}",
            console=Console(stderr=True), speed_estimate_period=600,
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task(title, total=total, completed=int(done), text="")

    def show(self, done: float, text: str) -> None:
        self._bar.update(self._task, completed=done, text=text)

    def close(self, done: float) -> None:
        self._bar.update(self._task, completed=done)
        self._bar.stop()


class _Lines:
    interval = 10.0

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit

    def show(self, done: float, text: str) -> None:
        if self._unit or not self._total:
            of_all = f"/{self._total:g}" if self._total else ""
            count = f"{done:g}{of_all} {self._unit}".rstrip()
        else:
            count = f"{done / self._total:.0%}"
        line = ", ".join(filter(None, (f"{self._title} {count}", text)))
        print(line, file=sys.stderr, flush=True)

    def close(self, done: float) -> None:
        pass
