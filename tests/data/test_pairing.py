"""Images and masks find each other by the names that people give them."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from prompttune.data.folders import Finding
from prompttune.data.layouts import Sample, Split, find_split
from prompttune.utils.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"found, not read")
    return folder


def pairs(split: Split) -> dict[str, str]:
    samples: Iterable[Sample] = {*split.train, *split.val, *split.test}
    return {each.image.name: each.mask.name for each in samples}


NUMBERS = ("0", "1", "10", "11")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scan{}.jpg", "scan{}_mask.png"),
        ("scan{}.jpg", "scan{}_masks.png"),
        ("scan{}.jpg", "scan{}_label.tif"),
        ("ISIC_000{}.jpg", "ISIC_000{}_segmentation.png"),
        ("{}.jpg", "{}_lbl.png"),
        ("{}.jpg", "{}_m.png"),
        ("{}.jpg", "{}_gt.png"),
        ("{}.jpg", "GT_{}.png"),
        ("{}.jpg", "{}.jpg.png"),
        ("{}.png", "{}_anything_else.png"),
        ("img_{}.png", "mask_{}.png"),
        ("{}_image.png", "{}_mask.png"),
        ("Ünï {}.JPG", "Ünï {}-Mask.PNG"),
        ("aachen_{}_leftImg8bit.png", "aachen_{}_gtFine_labelIds.png"),
        ("scan{}.tif", "scan{}_cp_masks.tif"),
        ("img{}.png", "mask{}.png"),
        ("{}.png", "{}Mask.png"),
        ("scan{}.tif", "scan{}_Simple Segmentation.tif"),
    ],
)
def test_masks_that_share_a_prefix_or_suffix(tmp_path: Path, image: str, mask: str) -> None:
    expected = {image.format(number): mask.format(number) for number in NUMBERS}
    for one, other in expected.items():
        touch(tmp_path, f"images/{one}", f"masks/{other}")
    split = find_split(tmp_path)
    assert pairs(split) == expected
    assert "split by seed" in split.layout
    assert "(" in split.layout, "the layout says how they were paired"


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("scan{}.jpg", "scan{}_mask.png"),
        ("{}.jpg", "GT_{}.png"),
        ("{}_rgb.png", "{}_gt.png"),
        ("{}.jpg", "{}.png"),
    ],
)
def test_images_and_masks_in_one_folder(tmp_path: Path, image: str, mask: str) -> None:
    expected = {image.format(number): mask.format(number) for number in NUMBERS}
    for one, other in expected.items():
        touch(tmp_path, one, other, f"._{one}")
    split = find_split(tmp_path)
    assert pairs(split) == expected
    assert "one folder" in split.layout


def test_roboflow_masks_in_parts(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("valid", 2)):
        for number in range(count):
            touch(tmp_path, f"{part}/{number}.jpg", f"{part}/{number}_mask.png")
    split = find_split(tmp_path)
    assert [len(split.train), len(split.val), len(split.test)] == [4, 2, 1]


def test_a_pattern_decides(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"images/{number}.jpg", f"masks/a{number}.png", f"masks/b{number}.png")
    with pytest.raises(InputError, match="has no mask"):
        find_split(tmp_path)
    split = find_split(tmp_path, finding=Finding(mask_pattern="b{stem}.png"))
    assert pairs(split) == {f"{number}.jpg": f"b{number}.png" for number in NUMBERS}
    with pytest.raises(InputError, match=r"must hold \{stem\}"):
        find_split(tmp_path, finding=Finding(mask_pattern="b.png"))


def test_folders_anywhere(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"photos of june/{number}.jpg", f"x/y/{number}.png")
    finding = Finding(tmp_path / "photos of june", tmp_path / "x" / "y")
    assert len(pairs(find_split(tmp_path, finding=finding))) == 4
    with pytest.raises(InputError, match="--images_dir and --masks_dir"):
        find_split(tmp_path)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("Images", "Masks"),
        ("imgs", "labels"),
        ("JPEGImages", "SegmentationClass"),
        ("images", "ground_truth"),
    ],
)
def test_folders_of_other_names(tmp_path: Path, images: str, masks: str) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"{images}/{number}.jpg", f"{masks}/{number}.png")
    assert len(pairs(find_split(tmp_path))) == 4


def test_folders_in_folders(tmp_path: Path) -> None:
    for patient in "ab":
        for number in range(3):
            touch(tmp_path, f"images/{patient}/s{number}.jpg", f"masks/{patient}/s{number}.png")
    split = find_split(tmp_path)
    samples = [*split.train, *split.val, *split.test]
    assert sorted(each.name for each in samples) == sorted(
        f"{patient}/s{number}" for patient in "ab" for number in range(3)
    )
    assert all(each.image.parent.name == each.mask.parent.name for each in samples)


def test_files_of_the_system_are_left_out(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"images/{number}.jpg", f"masks/{number}.png")
        touch(tmp_path, f"images/._{number}.jpg", f"__MACOSX/images/._{number}.jpg")
        touch(tmp_path, f"masks/__MACOSX/{number}.png", "masks/.DS_Store")
    assert len(pairs(find_split(tmp_path))) == 4


def test_a_json_file_beside_masks_is_no_annotation(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"images/{number}.jpg", f"labels/{number}.png")
    touch(tmp_path, "classes.json")
    assert len(pairs(find_split(tmp_path))) == 4


def test_symbolic_links(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path / "far", f"images/{number}.jpg", f"masks/{number}.png")
    (tmp_path / "near").symlink_to(tmp_path / "far", target_is_directory=True)
    assert len(pairs(find_split(tmp_path / "near"))) == 4


def test_a_stack_is_a_group_of_slices(tmp_path: Path) -> None:
    import numpy as np
    import tifffile

    for name in "abcd":
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
            stack = np.zeros((5, 8, 8), np.uint8)
            stack[2:, 2:4] = 1
            tifffile.imwrite(tmp_path / part / f"{name}.tif", stack)
    split = find_split(tmp_path)
    assert [len(split.train), len(split.val), len(split.test)] == [10, 5, 5]
    assert {each.name[0] for each in split.test}.isdisjoint(each.name[0] for each in split.train)
    assert sorted(each.page for each in split.val) == list(range(5))
    tifffile.imwrite(tmp_path / "masks" / "a.tif", np.zeros((6, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"a\.tif has 5 pages, but .*a\.tif has 6"):
        find_split(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "masks" / "a.tif")
    with pytest.raises(InputError, match=r"has 5 pages, but .* has 1"):
        find_split(tmp_path)


def test_a_mask_without_image_is_left_out_and_named(tmp_path: Path) -> None:
    for number in NUMBERS:
        touch(tmp_path, f"images/{number}.jpg", f"masks/{number}_mask.png")
    (tmp_path / "images" / "0.jpg").unlink()
    split = find_split(tmp_path)
    assert "0_mask.png, without image" in split.notes[0]
    assert len({*split.train, *split.val, *split.test}) == len(NUMBERS) - 1


def test_parts_inside_images_and_masks(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for number in range(count):
            touch(tmp_path, f"images/{part}/{number}.jpg", f"masks/{part}/{number}_mask.png")
    split = find_split(tmp_path)
    assert [len(split.train), len(split.val), len(split.test)] == [6, 2, 3]
    assert split.layout == "images/ and masks/ with train/ and val/ and test/ (masks {stem}_mask)"


@pytest.mark.parametrize("name", ["{c}/{n}", "{n}_{c}", "{c}_{n}", "{n}/{c}"])
def test_a_mask_for_each_class(tmp_path: Path, name: str) -> None:
    import numpy as np

    from prompttune.tasks.data import task_data
    from prompttune.tasks.recipe import Recipe

    for number in range(4):
        image = tmp_path / "images" / f"s{number}.png"
        image.parent.mkdir(exist_ok=True)
        Image.new("RGB", (12, 8)).save(image)
        for column, label in enumerate(("crack", "pot hole")):
            if (number, label) == (3, "pot hole"):
                continue  # an image need not show all
            mask = np.zeros((8, 12), np.uint8)
            mask[:, 4 * column : 4 * column + 6] = 255
            path = tmp_path / "masks" / f"{name.format(c=label, n=f's{number}')}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
    data = task_data(Recipe("custom", classes=("crack", "pot hole")), tmp_path)
    maps = {
        each.name: each.class_map for part in (data.train, data.val, data.test) for each in part
    }
    assert maps["s0"][0].tolist() == [1] * 4 + [2] * 6 + [0] * 2
    assert maps["s3"].max() == 1
    assert "a mask for each class" in data.layout
    assert len({name for part in (data.train, data.test, data.val) for name in part.files()}) == 11
