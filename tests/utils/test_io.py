"""Files appear whole or not at all."""

from pathlib import Path

import pytest

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
