"""CVAT's legend: colors and classes, unless the user said otherwise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.tasks.legend import CVAT, read_legend
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

TEXT = (
    "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:255,0,0::\n\npothole:0,255,17::\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / CVAT).write_text(TEXT)
    return tmp_path


def test_colors_and_classes_come_from_the_file(folder: Path) -> None:
    read = read_legend(Recipe("custom"), folder)
    assert read.classes == ("crack", "pothole")
    assert read.colors is not None
    assert set(read.colors.split(",")) == {
        "background=#000000", "crack=#ff0000", "pothole=#00ff11",
    }  # fmt: skip


def test_classes_that_were_not_asked_for_are_background(folder: Path) -> None:
    read = read_legend(Recipe("custom", classes=("crack",)), folder)
    assert read.classes == ("crack",)
    assert read.colors is not None
    assert "background=#00ff11" in read.colors


def test_what_the_user_said_wins(folder: Path, tmp_path: Path) -> None:
    said = Recipe("custom", colors="crack=#123456")
    assert read_legend(said, folder) is said
    (folder / CVAT).unlink()
    plain = replace(said, colors=None)
    assert read_legend(plain, folder) is plain


def test_other_lines_are_named(folder: Path) -> None:
    (folder / CVAT).write_text("crack;255,0,0\n")
    with pytest.raises(InputError, match=r"labelmap\.txt: no legend .*in the line 'crack;255,0,0'"):
        read_legend(Recipe("custom"), folder)


@pytest.mark.parametrize(
    ("highest", "bone"), [(1, 1), (2, 2)], ids=["counts from 0", "counts from 1"]
)
def test_where_a_list_of_names_begins_is_seen_in_the_masks(
    tmp_path: Path, highest: int, bone: int
) -> None:
    (tmp_path / "classes.json").write_text('["other", "bone"]')
    (tmp_path / "masks").mkdir()
    for number in range(highest + 1):
        mask = np.full((4, 4), number, np.uint8)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    read = read_legend(Recipe("custom", classes=("bone",)), tmp_path)
    table = read.mask_values or {1: 1}
    assert table[bone] == 1
    assert all(index == 0 for value, index in table.items() if value != bone)
