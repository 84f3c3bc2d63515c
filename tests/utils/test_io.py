"""Files appear whole or not at all."""

import json
from pathlib import Path

import pytest

from prompttune.evaluation.report import staged
from prompttune.utils.errors import InputError
from prompttune.utils.io import temporary_for, whole_file, whole_path, write_whole


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "é")
    write_whole(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "é".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin"]


@pytest.mark.parametrize("there", [False, True])
def test_what_breaks_off_leaves_what_was_there(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a.txt"
    if there:
        path.write_text("before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"] * there
    assert not there or path.read_text() == "before"


def test_nothing_has_the_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_path(path) as temporary:
        assert temporary == temporary_for(path)
        temporary.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert not temporary.exists()


def write_earlier(folder: Path) -> None:
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "old.png").write_text("old")
    (folder / "comparison.json").write_text('{"rows": []}')
    (folder / "notes.txt").write_text("mine")


def write_new(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "new.png").write_text("new")
    (folder / "comparison.json").write_text('{"rows": [1]}')


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_new_folder_is_made(tmp_path):
    with staged(tmp_path / "a" / "out") as stage:
        write_new(stage)
    assert names(tmp_path / "a" / "out") == {"pictures", "pictures/new.png", "comparison.json"}


def test_an_earlier_comparison_is_replaced_and_other_files_stay(tmp_path):
    write_earlier(tmp_path)
    with staged(tmp_path) as stage:
        write_new(stage)
    assert names(tmp_path) == {"pictures", "pictures/new.png", "comparison.json", "notes.txt"}
    assert json.loads((tmp_path / "comparison.json").read_text()) == {"rows": [1]}


def fail_within(output: Path) -> None:
    with staged(output) as stage:
        write_new(stage)
        raise OSError("No space left on device")


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    write_earlier(tmp_path / "earlier")
    before = names(tmp_path)
    for output in (tmp_path / "earlier", tmp_path / "new"):
        with pytest.raises(OSError, match="No space"):
            fail_within(output)
    assert names(tmp_path) == before
    assert (tmp_path / "earlier" / "comparison.json").read_text() == '{"rows": []}'


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "rest.png").write_text("half")
    with staged(tmp_path) as stage:
        write_new(stage)
    assert names(tmp_path) == {"pictures", "pictures/new.png", "comparison.json"}


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"task": 1}'])
def test_a_folder_with_something_else_is_refused(tmp_path, content):
    (tmp_path / "thesis.tex").write_text("years of work")
    if content is not None:
        (tmp_path / "comparison.json").write_text(content)
    before = names(tmp_path)
    with pytest.raises(InputError, match="not empty"), staged(tmp_path):
        pass
    with pytest.raises(InputError, match="is a file"), staged(tmp_path / "thesis.tex"):
        pass
    assert names(tmp_path) == before
