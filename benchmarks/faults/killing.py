"""Kill a run at random moments and at each change of a file, go on, and compare."""

import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.processes import KILLED, Ended, run
from benchmarks.faults.scenarios import Scenario
from benchmarks.faults.whole import halves, hidden

REDRAWN = 12
"""How often a moment is drawn anew where the run had ended before it."""


@dataclass
class Row:
    """One line of the table."""

    name: str
    moments: int = 0
    """Random ones that were tried."""
    operations: int = 0
    """Changes of files before which it was killed."""
    lost: list[str] = field(default_factory=list)
    """What going on did not bring back."""
    wrong: list[str] = field(default_factory=list)
    """Files that were half there or mixed, tracebacks, processes left behind."""
    left: int = 0
    """Hidden files that lay there after all, of killed runs: nobody reads them."""

    def cells(self) -> list[str]:
        """Return the row of a Markdown table."""
        numbers = (self.moments, self.operations, len(self.lost), len(self.wrong), self.left)
        return [self.name, *map(str, numbers)]


def kill(
    scenario: Scenario, folder: Path, moments: int, operations: int, seed: int,
    say: Callable[[str], None] = print,
) -> Row:  # fmt: skip
    """Try a scenario.

    Args:
        scenario: to be killed.
        folder: an empty one.
        moments: random ones, one in each of as many equal parts of the unbroken run.
        operations: changes of files before which it is killed, at most, spread over all.
        seed: of the moments.
        say: gets a line for each fault.
    """
    whole = run(scenario.begin(folder / "whole"), folder / "whole")
    assert whole.code == 0, f"{scenario.name}: {whole.said}"
    expected = scenario.answer(folder / "whole")
    assert expected, scenario.name
    # The first run of a kind is the slowest; moments are spread over one that came later.
    seconds = run(scenario.begin(folder / "again"), folder / "again").seconds
    assert scenario.answer(folder / "again") == expected, f"{scenario.name}: two runs differ"
    row, rng = Row(scenario.name), random.Random(seed)
    for number in range(moments):
        for _ in range(REDRAWN):
            after = seconds * (number + rng.random()) / moments
            ended = _killed(scenario, folder / "broken", after=after)
            if ended.code == KILLED:
                row.moments += 1
                _go_on(scenario, folder / "broken", ended, expected, row, f"{after:.2f} s", say)
                break
    for at in _spread(whole.operations, operations):
        ended = _killed(scenario, folder / "broken", at_operation=at)
        row.operations += ended.code == KILLED
        _go_on(scenario, folder / "broken", ended, expected, row, f"change {at}", say)
    return row


def _spread(there: int, wanted: int) -> Iterable[int]:
    if there <= wanted:
        return range(1, there + 1)
    return sorted({1 + round(n * (there - 1) / max(1, wanted - 1)) for n in range(wanted)})


def _killed(scenario: Scenario, folder: Path, **when: float | int) -> Ended:
    shutil.rmtree(folder, ignore_errors=True)
    return run(scenario.begin(folder), folder, **when)  # type: ignore[arg-type]


def _go_on(
    scenario: Scenario, folder: Path, ended: Ended, expected: dict[str, str], row: Row, when: str,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    wrong = [f"half there: {name}" for name in halves(folder)]
    wrong += [f"mixed: {name}" for name in scenario.check(folder)]
    wrong += [f"left running: {name}" for name in ended.left]
    again = run(scenario.again(folder), folder)
    if "Traceback" in again.said:
        wrong.append(f"traceback: {again.said.strip().splitlines()[-1]}")
    found = scenario.answer(folder) if again.code == 0 else {}
    lost = [name for name, content in expected.items() if found.get(name) != content]
    if again.code:
        lost = [f"exit code {again.code}: {again.said.strip()[-200:]}"]
    wrong += [f"too much: {name}" for name in found.keys() - expected.keys()]
    wrong += [f"half there at the end: {name}" for name in halves(folder)]
    wrong += [f"left running: {name}" for name in again.left]
    for text in (*lost, *wrong):
        say(f"{scenario.name}, killed at {when}: {text}")
    row.lost += lost
    row.wrong += wrong
    row.left += len(hidden(folder))
