"""Tables of runs that were killed after their last image."""

import csv
from pathlib import Path

from prompttune.outputs.reliability import ReliabilityTable
from prompttune.outputs.unfinished import finish_tables


def test_what_a_killed_run_kept_becomes_its_table(tmp_path: Path) -> None:
    killed = ReliabilityTable()
    for number, name in enumerate("ab"):
        killed.add(Path(f"{name}.png"), None, 0.5, 0.1 * number, None)
        killed.keep(tmp_path)
    assert not (tmp_path / "reliability.csv").exists()
    finish_tables(tmp_path)
    with (tmp_path / "reliability.csv").open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["a.png", "b.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["reliability.csv"]


def test_a_folder_without_any_stays_as_it_is(tmp_path: Path) -> None:
    finish_tables(tmp_path)
    assert not list(tmp_path.iterdir())
