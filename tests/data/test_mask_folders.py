"""Several masks an image."""

from pathlib import Path

import numpy as np
import pytest
from pair_lists import INSIDE, mask, picture, samples

from prompttune.data.finding import ANYWHERE
from prompttune.data.mask_folders import pairs
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

LEFT, RIGHT = INSIDE.copy(), INSIDE.copy()


LEFT[:, 6:] = RIGHT[:, :6] = 0


@pytest.mark.parametrize("named", ["masks/{n}_{k}.png", "masks/{n}/{k}.png"])
def test_a_mask_file_for_each_thing(tmp_path: Path, named: str) -> None:
    for n in range(4):
        picture(tmp_path / f"images/{n}.jpg")
        for k, own in enumerate((LEFT, RIGHT)):
            mask(tmp_path / named.format(n=n, k=k), own * np.uint8(255))
    data = task_data(Recipe("custom", classes=("cell",)), tmp_path)
    assert "a mask for each thing" in data.layout
    for class_map in samples(data).values():
        np.testing.assert_array_equal(class_map, INSIDE)


def test_a_folder_for_each_image(tmp_path: Path) -> None:
    for n in range(4):
        picture(tmp_path / f"id{n}/images/id{n}.png")
        for k, own in enumerate((LEFT, RIGHT)):
            mask(tmp_path / f"id{n}/masks/{k}.png", own * np.uint8(255))
    found = samples(task_data(Recipe("custom", classes=("cell",)), tmp_path))
    assert sorted(found) == ["id0", "id1", "id2", "id3"]
    np.testing.assert_array_equal(found["id1"], INSIDE)


def test_a_folder_of_masks_of_another_name_is_asked_about(tmp_path: Path) -> None:
    for name in ("images", "output"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"masks: no such folder; if output/ holds the masks, n"):
        pairs(tmp_path, ANYWHERE, ("a",))
