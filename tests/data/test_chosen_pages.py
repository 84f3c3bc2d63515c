"""Pages of stacks by number: in words, in tuning, and in prediction."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.finding import Finding
from prompttune.data.layouts import find_split
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

STACK = Path("a.tif")


@pytest.mark.parametrize(
    ("text", "pages"),
    [("3", [2]), ("3,5-7", [2, 4, 5, 6]), (" 8- , 1", [0, 7, 8, 9]), ("2-2,2", [1]), (4, [3])],
)
def test_numbers_and_ranges(text: str, pages: list[int]) -> None:
    chosen = ChosenPages.of(text)
    assert chosen is not None
    assert chosen.of_stack(10, STACK) == pages
    assert chosen.of_stack(1, STACK) == [0]  # no stack


@pytest.mark.parametrize("text", ["", "0", "a", "3-1", "-3", "1,,2", "1-0", "1.5", "9999999999"])
def test_no_such_pages(text: str) -> None:
    with pytest.raises(InputError, match="give numbers and ranges from 1 on"):
        ChosenPages.of(text)


@pytest.mark.parametrize("text", ["11", "2-11", "11-"])
def test_pages_beyond_the_stack(text: str) -> None:
    chosen = ChosenPages.of(text)
    assert chosen is not None
    with pytest.raises(InputError, match=rf"a\.tif: has 10 pages; --pages {text}"):
        chosen.of_stack(10, STACK)


def test_all_pages_where_none_are_named() -> None:
    assert ChosenPages.of(None) is None


def test_tuning_sees_the_chosen_pages(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (7, 20, 24), np.uint8)
    masks = np.zeros((7, 20, 24), np.uint8)
    for page in range(7):
        masks[page, 2 : 5 + page, 3:9] = 1
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "masks" / "a.tif", masks, photometric="minisblack")
    data = task_data(Recipe("custom", classes=("a",), pages="2,4-5"), tmp_path)
    found = {each.name: each for each in (*data.train, *data.val, *data.test)}
    assert set(found) == {"a#2", "a#4", "a#5"}
    for name, each in found.items():
        page = int(name[-1]) - 1
        assert np.array_equal(each.image[:, :, 0], stack[page])
        assert np.array_equal(each.class_map, masks[page])
    with pytest.raises(InputError, match="has 7 pages"):
        find_split(tmp_path, finding=Finding(pages=ChosenPages.of("9")))
