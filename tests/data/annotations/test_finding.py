"""Folders of COCO and labelme annotations become samples; bad ones are refused in one line."""

import json
import subprocess
from pathlib import Path

from annotating import NAMES, THINGS, coco, only, refused, save_image, write_coco

from prompttune.data.layouts import find_split, load_sample
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe


def test_parts_and_images_without_things(tmp_path: Path) -> None:
    write_coco(tmp_path / "train", coco(THINGS, NAMES, 4))
    test = write_coco(tmp_path / "test", coco([], {1: "crack"}, 2))  # its own ids
    save_image(tmp_path / "train" / "images" / "unlabeled.png")
    split = find_split(tmp_path, classes=("crack",))
    assert [len(split.train), len(split.val), len(split.test)] == [3, 1, 2]
    assert split.layout == "train/ and test/ with COCO annotations, 1 images without"
    assert not load_sample(split.test[0], 1).class_map.any()
    (test / "annotations.json").unlink()
    split = find_split(tmp_path, classes=("crack",))
    assert "left out: test/, which has no masks or annotations" in split.notes


def test_masks_go_before_json_files(tmp_path: Path) -> None:
    write_coco(tmp_path, coco(THINGS, NAMES))
    save_image(tmp_path / "masks" / "1.png")
    assert find_split(tmp_path).train[0].mask.name == "1.png"


def test_images_are_found_by_what_another_machine_called_them(tmp_path: Path) -> None:
    content = coco(THINGS, NAMES)
    write_coco(tmp_path, content)
    for name in (r"C:\export\images\1.png", "../../images/1.png", "/home/me/1.png", "1"):
        content["images"][0]["file_name"] = name
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        assert only(tmp_path, "crack").name == "1"


def test_the_hash_covers_images_and_annotations(tmp_path: Path) -> None:
    write_coco(tmp_path / "train", coco(THINGS, NAMES, 2))
    write_coco(tmp_path / "test", coco(THINGS, NAMES))
    recipe = Recipe(task="custom", classes=("crack",))
    first = task_data(recipe, tmp_path)
    before = first.sha256()
    command = "LC_ALL=C find train -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().startswith(before)
    assert (first.train[0].class_map == 1).any()
    write_coco(tmp_path / "train", coco(THINGS[1:], NAMES, 2))
    assert task_data(recipe, tmp_path).sha256() != before


def test_what_is_no_json(tmp_path: Path) -> None:
    write_coco(tmp_path, coco(THINGS, NAMES))
    (tmp_path / "annotations.json").write_text("{")
    assert f"{tmp_path / 'annotations.json'}: is no JSON" in refused(tmp_path)


def test_several_files_need_a_name(tmp_path: Path) -> None:
    for file in ("a.json", "b.json"):
        write_coco(tmp_path, coco(THINGS, NAMES), file)
    assert "holds 2 JSON files" in refused(tmp_path, "crack")
    write_coco(tmp_path, coco(THINGS, NAMES))
    assert only(tmp_path, "crack").class_map.any()


def test_an_image_that_is_named_twice(tmp_path: Path) -> None:
    content = coco(THINGS, NAMES)
    content["images"].append({"id": 11, "file_name": "1.png"})
    assert "images are '1'; keep one" in refused(write_coco(tmp_path, content), "crack")
