"""What was passed over is counted by kind."""

from pathlib import Path

from prompttune.data.leftovers import leftovers


def test_files_are_counted_by_why_they_were_passed_over(tmp_path: Path) -> None:
    for name in ("images/a.png", "images/b.png", "notes.txt", "more.txt", ".DS_Store", "x/._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert set(leftovers(tmp_path, [tmp_path / "images" / "a.png"])) == {
        "1 x images/ (images without a partner or beside it)",
        "2 x *.txt (no image)",
        "2 x hidden files of the system",
    }
