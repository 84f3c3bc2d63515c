"""What lies above what, and which names are classes."""

from pathlib import Path

import numpy as np
import pytest
from annotating import (
    BOX,
    HEIGHT,
    IN_BOX,
    IN_FAR,
    IN_NEAR,
    NAMES,
    THINGS,
    WIDTH,
    coco,
    only,
    write_coco,
)

from prompttune.utils.errors import InputError


@pytest.mark.parametrize("classes", [("crack", "pothole"), ("pothole", "crack")])
def test_coco_with_small_things_above_and_crowds_ignored(tmp_path: Path, classes) -> None:
    loaded = only(write_coco(tmp_path, coco(THINGS, NAMES)), *classes)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :2] = 255
    expected[IN_BOX | IN_FAR] = classes.index("crack") + 1
    expected[IN_NEAR] = classes.index("pothole") + 1
    assert np.array_equal(loaded.class_map, expected)
    assert loaded.name == "1"


def test_of_equal_things_the_later_class_lies_above(tmp_path: Path) -> None:
    things = [{"category_id": n, "segmentation": BOX} for n in (7, 3)]
    for classes in (("crack", "pothole"), ("pothole", "crack")):
        folder = write_coco(tmp_path / classes[0], coco(things, NAMES))
        assert set(only(folder, *classes).class_map[IN_BOX]) == {2}


def test_one_name_needs_no_classes(tmp_path: Path) -> None:
    content = coco(THINGS[1:3], NAMES)  # of three categories one is used
    loaded = only(write_coco(tmp_path, content, "instances.json"))
    assert np.array_equal(loaded.class_map == 1, IN_BOX | IN_FAR)


def test_several_names_need_classes(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco(THINGS, NAMES))
    with pytest.raises(InputError, match=r"\(car, crack, pothole\).*--classes"):
        only(folder)
    with pytest.raises(InputError, match=r"as 'dent', only as car, crack, pothole"):
        only(folder, "crack", "dent")
