"""Pairs by list, by metadata, by legend, by tables; several masks an image."""

import json
from pathlib import Path

import numpy as np
import pytest
from pair_lists import INSIDE, mask, picture, samples

from prompttune.data.finding import Finding
from prompttune.data.layouts import find_split, load_sample
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError


def pairs(folder: Path, count: int) -> list[tuple[str, str]]:
    for n in range(count):
        picture(folder / f"photos/p{n}.jpg")
        mask(folder / f"drawn/x{n}.png")
    return [(f"photos/p{n}.jpg", f"drawn/x{n}.png") for n in range(count)]


@pytest.mark.parametrize(
    "kind", ["csv", "csv without head", "tsv", "json", "json of pairs", "jsonl"]
)
def test_lists_of_pairs(tmp_path: Path, kind: str) -> None:
    listed = pairs(tmp_path, 4)
    rows = [{"image": i, "mask": m} for i, m in listed]
    texts = {
        "csv": "image,mask\n" + "\n".join(map(",".join, listed)),
        "csv without head": "\n".join(map(",".join, listed)),
        "tsv": "Image Path\tMask Path\n" + "\n".join(map("\t".join, listed)),
        "json": json.dumps(rows),
        "json of pairs": json.dumps(listed),
        "jsonl": "\n".join(map(json.dumps, rows)),
    }
    file = tmp_path / f"list.{kind.split()[0]}"
    file.write_text(texts[kind])
    found = samples(task_data(Recipe("custom", classes=("crack",)), file))
    assert sorted(found) == ["p0", "p1", "p2", "p3"]
    np.testing.assert_array_equal(found["p2"], INSIDE)


def test_parts_and_groups_of_a_list(tmp_path: Path) -> None:
    parts = ["train"] * 6 + ["val", "test"]
    lines = [
        f"{i},{m},{part},patient{n // 2}"
        for n, ((i, m), part) in enumerate(zip(pairs(tmp_path, 8), parts, strict=True))
    ]
    (tmp_path / "list.csv").write_text("image,mask,split,patient\n" + "\n".join(lines))
    split = find_split(tmp_path / "list.csv")
    assert [len(each) for each in (split.train, split.val, split.test)] == [6, 1, 1]
    (tmp_path / "list.csv").write_text(
        "image,mask,patient\n" + "\n".join(line.replace(",train,", ",").replace(",val,", ",")
                                           .replace(",test,", ",") for line in lines)
    )  # fmt: skip
    split = find_split(tmp_path / "list.csv", finding=Finding(group_by="patient"))
    for part in (split.train, split.val, split.test):
        numbers = sorted(int(sample.name[1:]) // 2 for sample in part)
        assert all(numbers.count(each) == 2 for each in numbers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,nothing\na.jpg,b", "needs a column for images and one for masks"),
        ("image,mask\na.jpg,b.png", "names 'a.jpg', which is not there"),
        ("image,mask,split\nphotos/p0.jpg,drawn/x0.png,holdout", "'holdout' is no part"),
        ("", "is empty"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    pairs(tmp_path, 1)
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        find_split(tmp_path / "list.csv")


def test_an_imagefolder_with_metadata(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("validation", 2)):
        lines = []
        for n in range(count):
            picture(tmp_path / part / f"{n}.jpg")
            mask(tmp_path / part / f"seg{n}.png")
            lines.append(json.dumps({"file_name": f"{n}.jpg", "mask_file_name": f"seg{n}.png"}))
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(lines))
    split = find_split(tmp_path)
    assert [len(each) for each in (split.val, split.test)] == [2, 1]
    np.testing.assert_array_equal(load_sample(split.train[0], 1).class_map, INSIDE)


def test_vocs_lists_decide_the_parts(tmp_path: Path) -> None:
    for n in range(8):
        picture(tmp_path / f"JPEGImages/{n}.jpg")
        if n < 6:
            mask(tmp_path / f"SegmentationClass/{n}.png")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n2\n3\n")
    (lists / "val.txt").write_text("4\n5\n")
    split = find_split(tmp_path)
    names = [each.name for each in (*split.train, *split.test)]
    assert sorted(names) == ["0", "1", "2", "3"]
    assert [each.name for each in split.val] == ["4", "5"]


def roboflow(folder: Path) -> None:
    both = INSIDE.copy()
    both[15:18, 20:25] = 2
    for n in range(5):
        picture(folder / f"train/{n}.jpg")
        mask(folder / f"train/{n}_mask.png", both)
    (folder / "train/_classes.csv").write_text(
        "Pixel Value, Class\n0, background\n1, crack\n2, hole"
    )


def test_roboflows_legend_names_the_classes(tmp_path: Path) -> None:
    roboflow(tmp_path)
    (tmp_path / "valid").mkdir()
    for file in list((tmp_path / "train").glob("[34]*")):
        file.rename(tmp_path / "valid" / file.name)
    data = task_data(Recipe("custom"), tmp_path)
    assert data.recipe is not None
    assert data.recipe.classes == ("crack", "hole")
    turned = task_data(Recipe("custom", classes=("hole", "crack")), tmp_path)
    assert (samples(turned)["0"] == 1).sum() == 15
    alone = task_data(Recipe("custom", classes=("hole",)), tmp_path)
    assert (samples(alone)["0"] == 1).sum() == 15
    assert set(np.unique(samples(alone)["0"])) == {0, 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("legend.json", '{"crack": "#ff0000", "hole": [0, 255, 0]}'),
        ("legend.json", '{"crack": [255, 0, 0], "hole": [0, 255, 0]}'),
        (
            "legend.json",
            '[{"name": "crack", "color": "#ff0000"}, {"name": "hole", "color": "#00ff00"}]',
        ),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncrack,255,0,0\nhole,0,255,0"),
    ],
)  # fmt: skip
def test_legends_of_colors(tmp_path: Path, name: str, text: str) -> None:
    colors = np.zeros((20, 30, 3), np.uint8)
    colors[:5], colors[5:9] = (255, 0, 0), (0, 255, 0)
    for n in range(3):
        picture(tmp_path / f"images/{n}.png")
        mask(tmp_path / f"masks/{n}.png", colors)
    (tmp_path / name).write_text(text)
    if '"hole": [' in text and '"#' in text:  # neither all names nor all numbers: no legend
        with pytest.raises(InputError, match="colors name no classes"):
            task_data(Recipe("custom"), tmp_path)
        return
    data = task_data(Recipe("custom"), tmp_path)
    assert data.recipe is not None
    assert data.recipe.classes == ("crack", "hole")
    assert [(samples(data)["0"] == n).sum() for n in (1, 2)] == [150, 120]


def test_nnunets_labels(tmp_path: Path) -> None:
    for n in range(3):
        picture(tmp_path / f"images/{n}.png")
        mask(tmp_path / f"masks/{n}.png", INSIDE * np.uint8(2))
    labels = {"labels": {"background": 0, "liver": 1, "tumor": 2}, "file_ending": ".png"}
    (tmp_path / "dataset.json").write_text(json.dumps(labels))
    data = task_data(Recipe("custom", classes=("tumor",)), tmp_path)
    np.testing.assert_array_equal(samples(data)["0"], INSIDE)


def test_masks_of_another_size_are_scaled_on_request(tmp_path: Path) -> None:
    for n in range(3):
        picture(tmp_path / f"images/{n}.png")
        mask(tmp_path / f"masks/{n}.png", INSIDE.repeat(2, 0).repeat(2, 1))
    with pytest.raises(InputError, match="--resize_masks"):
        list(task_data(Recipe("custom", classes=("a",)), tmp_path).train)
    found = samples(task_data(Recipe("custom", classes=("a",), resize_masks=True), tmp_path))
    np.testing.assert_array_equal(found["1"], INSIDE)
    mask(tmp_path / "masks/0.png", INSIDE[:15])
    with pytest.raises(InputError, match="equal sizes"):
        samples(task_data(Recipe("custom", classes=("a",), resize_masks=True), tmp_path))
