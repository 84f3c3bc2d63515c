"""Folders as MVTec, Cityscapes and BUSI are published, in miniature."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.finding import ANYWHERE
from prompttune.data.folders import find_samples
from prompttune.data.layouts import find_split, load_sample
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe

ONE = ("a",)


def draw(path: Path, value: int = 255, left: int | None = 4) -> None:
    """Write a mask with a square of 8 x 8; without `left` an empty one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((20, 30), np.uint8)
    if left is not None:
        mask[4:12, left : left + 8] = value
    Image.fromarray(mask).save(path)


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), (90, 120, 60)).save(path)


def areas(folder: Path) -> dict[str, int]:
    found = find_samples(folder, ONE, ANYWHERE)
    return {each.name: int((load_sample(each, 1).class_map == 1).sum()) for each in found.train}


def test_mvtec(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "train" / "good" / f"{number:03}.png")
        photo(tmp_path / "test" / "good" / f"{number:03}.png")
        photo(tmp_path / "test" / "hole" / f"{number:03}.png")
        draw(tmp_path / "ground_truth" / "hole" / f"{number:03}_mask.png")
    photo(tmp_path / "test" / "cut" / "000.png")  # nobody has drawn it
    assert areas(tmp_path) == {f"good/00{n}": 0 for n in range(3)} | {
        f"hole/00{n}": 64 for n in range(3)
    }
    notes = find_split(tmp_path, classes=ONE).notes
    assert "left out: train/, which has no masks" in notes
    assert "left out: 1 images of test/ without a mask" in notes


def test_cityscapes(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for city in ("ulm", "jena"):
            for number in range(2):
                name = f"{city}_{number:06}_000019"
                photo(tmp_path / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png")
                own = tmp_path / "gtFine" / part / city
                draw(own / f"{name}_gtFine_labelIds.png", 7)
                draw(own / f"{name}_gtFine_instanceIds.png", 99)
                photo(own / f"{name}_gtFine_color.png")
    recipe = Recipe("custom", classes=("road",), mask_values={0: 0, 7: 1})
    data = task_data(recipe, tmp_path)
    assert len(data.train) + len(data.test) == 4
    assert len(data.val) == 4
    assert all((each.class_map == 1).sum() == 64 for each in (*data.train, *data.val, *data.test))


def test_busi(tmp_path: Path) -> None:
    for kind in ("benign", "normal"):
        for number in range(1, 4):
            photo(tmp_path / kind / f"{kind} ({number}).png")
            draw(
                tmp_path / kind / f"{kind} ({number})_mask.png", left=4 if kind[0] == "b" else None
            )
    draw(tmp_path / "benign" / "benign (2)_mask_1.png", left=20)
    assert areas(tmp_path) == {f"normal/normal ({n})": 0 for n in (1, 2, 3)} | {
        "benign/benign (1)": 64, "benign/benign (2)": 128, "benign/benign (3)": 64,
    }  # fmt: skip
