"""What a run has found is there when it goes on."""

import json
from pathlib import Path

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.recording import Record, one_run


@pytest.mark.parametrize("setting", [None, {"fold": 1}])
def test_results_are_kept_and_a_line_that_was_cut_is_not(tmp_path: Path, setting: dict) -> None:
    path = tmp_path / "run" / "lines.jsonl"
    record = Record(path, setting)
    record.add("one", {"value": 0.25, "pair": (1, 2)})
    assert record.results == {"one": {"value": 0.25, "pair": [1, 2]}}, "as it is read"
    record.close()
    path.write_text(path.read_text() + '["two", {"val')
    resumed = Record(path, setting)
    assert resumed.results == record.results
    resumed.add("three", {})
    resumed.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [*([setting] if setting else []), ["one", record.results["one"]], ["three", {}]]


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lines.jsonl"
    Record(path, {"fold": 1, "shots": 1}).close()
    with pytest.raises(InputError, match="begun with other fold; give those, or choose another"):
        Record(path, {"fold": 2, "shots": 1})
    path.write_text('{"fold": ')
    record = Record(path, {"fold": 2})
    record.close()
    assert record.results == {}


def test_what_is_to_be_forgotten_is(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lines.jsonl"
    record = Record(path)
    record.add("one", {})
    record.close()
    Record(path, forget=True).close()
    assert path.read_text() == ""


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.tex"
    mine.write_text("years of work")
    with pytest.raises(InputError, match="not empty"), one_run(tmp_path):
        Record(tmp_path / "lines.jsonl")
    with pytest.raises(InputError, match="is a file"), one_run(mine):
        pytest.fail("begun")
    assert mine.read_text() == "years of work"
