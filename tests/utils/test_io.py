"""Files appear whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prompttune.utils.io import (
    sweep,
    temporary_for,
    whole_file,
    whole_folder,
    whole_path,
    write_whole,
)


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
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.txt.")
        temporary.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert not temporary.exists()


def test_a_folder_appears_when_it_is_full(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    with whole_folder(place) as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "a.txt").write_text("all")
        assert not place.exists()
    assert (place / "below" / "a.txt").read_text() == "all"
    with pytest.raises(TypeError), whole_folder(tmp_path / "other") as temporary:
        (temporary / "a.txt").write_bytes(None)  # type: ignore[arg-type]
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    with whole_folder(place) as temporary:
        (temporary / "a.txt").write_text("mine")
        place.mkdir()
        (place / "a.txt").write_text("theirs")
    assert (place / "a.txt").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [place]


def test_writers_of_one_file_never_share_a_name(tmp_path: Path) -> None:
    """Of two containers both may be process 1."""
    path = tmp_path / "a.txt"
    with whole_path(path) as one, whole_path(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


def test_a_name_as_long_as_can_be_is_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("a" * 251 + ".txt"), "all")
    assert len(list(tmp_path.iterdir())) == 1


def test_what_the_dead_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    mine = temporary_for(below / "a.png")
    packed = temporary_for(below / "b.nii.gz", "nii.gz")
    dead = [
        path.with_name(path.name.replace(str(os.getpid()), str(child.pid)))
        for path in (mine, packed)
    ]
    others = [below / ".a.tmp", below / "a.png", below / ".note.1-2.tmp"]
    for path in (mine, *dead, *others):
        path.write_text("x")
    sweep(tmp_path)
    assert sorted(below.iterdir()) == sorted([mine, *others])
