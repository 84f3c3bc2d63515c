"""Images and masks in folders of folders, in parts of any name, with parts that lack masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.folders import is_labeled
from prompttune.data.layouts import Split, find_split
from prompttune.utils.errors import InputError

SIZE = 16


def pair(image: Path, mask: Path, number: int) -> None:
    """Write an image and a mask whose class has as many pixels as the number says."""
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIZE, SIZE), (number, 0, 0)).save(image)
    drawn = np.zeros((SIZE, SIZE), np.uint8)
    drawn.flat[: number + 1] = 255
    Image.fromarray(drawn).save(mask)


def matched(split: Split) -> list[list[int]]:
    """Return the numbers of each part, once it is certain that masks belong to their images."""
    found = []
    for part in (split.train, split.val, split.test):
        numbers = [int(np.asarray(Image.open(sample.image))[0, 0, 0]) for sample in part]
        for number, sample in zip(numbers, part, strict=True):
            drawn = np.asarray(Image.open(sample.mask)) > 0
            assert drawn.sum() == number + 1
        found.append(sorted(numbers))
    return found


def everything(split: Split) -> list[int]:
    return sorted(number for part in matched(split) for number in part)


@pytest.mark.parametrize(
    ("image", "mask"),
    [("image", "mask"), ("imaging", "segmentation"), ("7_rgb", "7_gt")],
)
def test_a_folder_for_each_image(tmp_path: Path, image: str, mask: str) -> None:
    for n in range(6):
        pair(tmp_path / f"s{n}" / f"{image}.png", tmp_path / f"s{n}" / f"{mask}.png", n)
    split = find_split(tmp_path)
    assert everything(split) == list(range(6))
    assert split.layout == f"a folder for each image ({image}.png + {mask}.png), split by seed"


def labelme_folders(folder: Path, names: str, last: str) -> None:
    """Write what `labelme_json_to_dataset` does."""
    for n in range(6):
        own = folder / f"photo{n}_json"
        pair(own / "img.png", own / "label.png", n)
        pair(own / "label_viz.png", own / "label.png", n)
        (own / "label_names.txt").write_text(last if n == 5 else names)


def test_folders_of_labelme(tmp_path: Path) -> None:
    labelme_folders(tmp_path, "_background_\na cat\ndog\n", last="_background_\na cat")
    split = find_split(tmp_path)
    assert everything(split) == list(range(6))
    assert split.layout == "a folder for each image (img.png + label.png), split by seed"


@pytest.mark.parametrize("last", ["_background_\ndog", "_background_\na\ndog"])
def test_masks_that_number_their_classes_each_for_itself(tmp_path: Path, last: str) -> None:
    labelme_folders(tmp_path, "_background_\na cat\ndog\n", last)
    with pytest.raises(InputError, match=r"label_names\.txt lists other classes than those beside"):
        find_split(tmp_path)


def test_several_images_beside_one_mask_are_asked_about(tmp_path: Path) -> None:
    for n in range(6):
        pair(tmp_path / f"s{n}" / "t1.png", tmp_path / f"s{n}" / "seg.png", n)
        pair(tmp_path / f"s{n}" / "t2.png", tmp_path / f"s{n}" / "seg.png", n)
    with pytest.raises(InputError, match=r"\(t1\.png, t2\.png beside seg\.png\); say which one in"):
        find_split(tmp_path)
    assert is_labeled(tmp_path)  # and so inspect asks as well


def test_pairs_of_folders_below_others(tmp_path: Path) -> None:
    for n in range(6):
        place = tmp_path / f"flight {n % 2}" / "cut"
        pair(place / "images" / f"{n // 2}.png", place / "masks" / f"{n // 2}.png", n)
    split = find_split(tmp_path)
    assert everything(split) == list(range(6))
    names = {sample.name for part in (split.train, split.val, split.test) for sample in part}
    assert "flight 1/cut/2" in names


def test_parts_in_any_case_with_folders_in_them(tmp_path: Path) -> None:
    for n in range(9):
        place = tmp_path / ("Train" if n < 6 else "Testing") / ("city" if n % 2 else "land")
        pair(place / "images" / f"{n}.png", place / "masks" / f"{n}_mask.png", n)
    assert matched(find_split(tmp_path))[2] == [6, 7, 8]


def test_training_and_validation_inside_of_images_and_masks(tmp_path: Path) -> None:
    for n in range(6):
        part = "training" if n < 4 else "validation"
        pair(
            tmp_path / "images" / part / f"{n}.png", tmp_path / "annotations" / part / f"{n}.png", n
        )
    assert matched(find_split(tmp_path))[1] == [4, 5]


def test_a_part_without_masks_is_left_out(tmp_path: Path) -> None:
    for n in range(6):
        pair(tmp_path / f"train/images/{n}.png", tmp_path / f"train/gt/{n}.png", n)
    (tmp_path / "test" / "images").mkdir(parents=True)
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "test" / "images" / "9.png")
    split = find_split(tmp_path)
    assert split.notes == ("left out: test/, which has no masks or annotations",)
    assert everything(split) == list(range(6))
    (tmp_path / "test" / "masks").mkdir()
    with pytest.raises(InputError, match=r"9\.png: has no mask"):
        find_split(tmp_path)


@pytest.mark.parametrize(
    ("image", "manual", "mask", "view"),
    [
        ("0{}_h", "manual1", "0{}_h", "0{}_h_mask"),
        ("2{}_training", "1st_manual", "2{}_manual1", "2{}_training_mask"),
    ],
)
def test_retinas_with_their_fields_of_view(
    tmp_path: Path, image: str, manual: str, mask: str, view: str
) -> None:
    for n in range(6):
        pair(
            tmp_path / "images" / f"{image.format(n)}.png",
            tmp_path / manual / f"{mask.format(n)}.png",
            n,
        )
        (tmp_path / "mask").mkdir(exist_ok=True)
        Image.new("L", (SIZE, SIZE), 255).save(tmp_path / "mask" / f"{view.format(n)}.png")
    split = find_split(tmp_path)
    matched(split)
    assert all(sample.field_of_view is not None for sample in split.train)


def test_two_folders_whose_masks_share_a_word(tmp_path: Path) -> None:
    images, masks = tmp_path / "Part1_Training_Input", tmp_path / "Part1_Training_GroundTruth"
    for n in range(6):
        pair(images / f"ISIC_{n}.png", masks / f"ISIC_{n}_segmentation.png", n)
    assert everything(find_split(tmp_path)) == list(range(6))
