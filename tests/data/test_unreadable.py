"""One bad file does not stop a set; it is left out and named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data import unreadable
from prompttune.data.layouts import find_split
from prompttune.data.samples import Sample
from prompttune.data.unreadable import readable, reasons_of
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError


def write_set(folder: Path, count: int = 6) -> None:
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        mask = np.zeros((32, 32), np.uint8)
        mask[4:20, 4:20] = 255
        image = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


@pytest.mark.parametrize("bad", ["images/2.jpg", "masks/2.png"])
@pytest.mark.parametrize("how", ["cut", "empty", "text"])
def test_a_bad_file_is_left_out_and_named(tmp_path: Path, bad: str, how: str) -> None:
    write_set(tmp_path)
    if how == "cut":
        cut(tmp_path / bad)
    else:
        (tmp_path / bad).write_bytes(b"" if how == "empty" else b"<html>not found</html>")
    data = task_data(Recipe("custom", classes=("a",)), tmp_path)
    assert sum(map(len, (data.train, data.val, data.test))) == 5
    assert all(each.image.shape == (32, 32, 3) for each in (*data.train, *data.val, *data.test))
    assert data.survey is not None
    (note,) = (note for note in data.survey.notes if note.startswith("left out"))
    assert "1 of 6" in note
    assert str(tmp_path / bad) in note


def test_a_part_of_its_own_is_looked_at_as_well(tmp_path: Path) -> None:
    write_set(tmp_path / "train")
    write_set(tmp_path / "val", 3)
    cut(tmp_path / "val" / "images" / "0.jpg")
    split = find_split(tmp_path, look=True)
    assert [sample.name for sample in split.val] == ["1", "2"]
    assert len(split.train) + len(split.test) == 6


def test_a_set_of_which_most_is_bad_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, 4)
    for number in range(2):
        cut(tmp_path / "images" / f"{number}.jpg")
    with pytest.raises(InputError, match=r"0\.jpg.*nor can 1 others of 4"):
        find_split(tmp_path, look=True)


def test_ends_tell_where_there_is_too_much_to_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "DECODED", 0)
    write_set(tmp_path)
    cut(tmp_path / "images" / "1.jpg")
    cut(tmp_path / "masks" / "3.png")
    assert {path.name for path in reasons_of(sorted(tmp_path.rglob("*.*")))} == {"1.jpg", "3.png"}


def test_a_file_without_its_end_may_be_whole(tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\0" * 100)
    sample = Sample("a", tmp_path / "a.jpg", tmp_path / "a.jpg")
    assert readable([sample]) == ([sample], [])
