"""Folders of COCO and labelme annotations, and the things in them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prompttune.data.layouts import LoadedSample, find_split, load_sample
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

HEIGHT, WIDTH = 20, 30


BOX = [[2, 3, 12, 3, 12, 13, 2, 13]]  # columns 2..11, rows 3..12


NEAR = [[4, 5, 8, 5, 8, 9, 4, 9]]  # inside it


FAR = [[20, 1, 24, 1, 24, 5, 20, 5]]


CROWD = {"size": [HEIGHT, WIDTH], "counts": [0, 2 * HEIGHT, (WIDTH - 2) * HEIGHT]}  # columns 0, 1


def save_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def coco(things: list[dict[str, Any]], names: dict[int, str], images: int = 1) -> dict[str, Any]:
    """Put the same things into every image; ids leave gaps, as COCO's do."""
    return {
        "images": [
            {"id": 10 * i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT}
            for i in range(1, images + 1)
        ],
        "annotations": [
            {"id": 100 * i + k, "image_id": 10 * i, "iscrowd": 0, **thing}
            for i in range(1, images + 1)
            for k, thing in enumerate(things)
        ],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }


def write_coco(folder: Path, content: Any, file: str = "annotations.json") -> Path:
    for one in content["images"]:
        save_image(folder / "images" / one["file_name"])
    (folder / file).write_text(json.dumps(content))
    return folder


def only(folder: Path, *classes: str) -> LoadedSample:
    split = find_split(folder, classes=classes or Recipe.classes)
    (sample,) = split.train
    return load_sample(sample, max(1, len(classes)))


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows, columns] = True
    return mask


IN_BOX, IN_NEAR, IN_FAR = (
    box(np.s_[3:13], np.s_[2:12]),
    box(np.s_[5:9], np.s_[4:8]),
    box(np.s_[1:5], np.s_[20:24]),
)


THINGS = [
    {"category_id": 7, "segmentation": NEAR},
    {"category_id": 3, "segmentation": [*BOX, *FAR]},  # one thing in two parts
    {"category_id": 3, "segmentation": CROWD, "iscrowd": 1},
    {"category_id": 9, "segmentation": CROWD},
]


NAMES = {9: "car", 7: "pothole", 3: "crack"}


def refused(folder: Path, *classes: str) -> str:
    with pytest.raises(InputError) as caught:
        only(folder, *classes)
    assert "\n" not in str(caught.value)
    return str(caught.value)
