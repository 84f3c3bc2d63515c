"""Folders whose names say only together, or in part, which holds the masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.layouts import find_split, load_sample
from prompttune.data.two_folders import two_folders
from prompttune.utils.errors import InputError


def fill(folder: Path, images: str, masks: str, count: int = 5) -> None:
    for number in range(count):
        mask = np.zeros((20, 30), np.uint8)
        mask[3 : 8 + number, 4:20] = 255
        for name, pixels in ((images, mask // 2 + 60), (masks, mask)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    ("images", "masks"),
    [("input", "output"), ("x", "y"), ("X", "Y"), ("data", "labels"), ("imgs", "gts"),
     ("raw", "cell-labels"), ("images", "masks_machine"), ("frames", "segs"), ("sat", "map"),
     ("train_x", "train_y")],
)  # fmt: skip
def test_pairs_of_folders(tmp_path: Path, images: str, masks: str) -> None:
    fill(tmp_path, images, masks)
    split = find_split(tmp_path)
    assert f"{images}/ + {masks}/" in split.layout
    samples = {each.name: each for each in (*split.train, *split.val, *split.test)}
    assert len(samples) == 5
    assert {each.mask.parent.name for each in samples.values()} == {masks}
    assert (load_sample(samples["0"], 1).class_map == 1).sum() == 5 * 16


def test_in_parts_the_folders_of_train_hold_for_all(tmp_path: Path) -> None:
    fill(tmp_path / "train", "x", "y")
    fill(tmp_path / "test", "x", "y", count=2)
    split = find_split(tmp_path)
    assert len(split.test) == 2
    assert "x/ + y/" in split.layout


@pytest.mark.parametrize(
    ("images", "masks"), [("A", "B"), ("images", "depth"), ("images", "mask_overlays")]
)
def test_what_could_be_either_is_asked_for(tmp_path: Path, images: str, masks: str) -> None:
    fill(tmp_path, images, masks)
    assert two_folders(tmp_path) is None
    with pytest.raises(InputError):
        find_split(tmp_path)


def test_what_predict_wrote_is_no_truth(tmp_path: Path) -> None:
    fill(tmp_path, "input", "output")
    Image.new("RGB", (30, 20)).save(tmp_path / "output" / "0_overlay.png")
    assert two_folders(tmp_path) is None
    assert two_folders(tmp_path / "none") is None


def test_of_two_folders_of_masks_neither_is_chosen(tmp_path: Path) -> None:
    fill(tmp_path, "images", "masks_human")
    fill(tmp_path, "images", "masks_machine")
    assert two_folders(tmp_path) is None
