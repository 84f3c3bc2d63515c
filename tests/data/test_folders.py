"""What a folder holds: parts of masks, and data that lies alone in other folders."""

from pathlib import Path

import numpy as np
from exports import image
from PIL import Image

from prompttune.data.folders import unwrapped
from prompttune.data.layouts import find_split
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe


def test_data_alone_in_other_folders_is_found(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[4:12, 4:12] = 255
    for number in range(3):
        for name, picture in (("images", Image.new("RGB", (30, 20))), ("masks", mask)):
            path = tmp_path / "zip" / "set" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (Image.fromarray(picture) if name == "masks" else picture).save(path)
    assert unwrapped(tmp_path) == tmp_path / "zip" / "set"
    assert task_data(Recipe("custom", classes=("a",)), tmp_path).name == tmp_path.name
    Image.new("RGB", (30, 20)).save(tmp_path / "zip" / "other.png")  # then it is not alone
    assert unwrapped(tmp_path) == tmp_path


def test_parts_of_masks_with_a_validation_part(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2)):
        for number in range(count):
            image(tmp_path / part / "images" / f"{number}.jpg")
            image(tmp_path / part / "masks" / f"{number}.png")
    split = find_split(tmp_path)
    assert [len(split.train), len(split.val), len(split.test)] == [5, 2, 1]
