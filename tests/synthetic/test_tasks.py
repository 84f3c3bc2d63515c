"""Generated tasks: decided by a seed, and their masks are where the picture says."""

import cv2
import numpy as np
import pytest

from prompttune.synthetic import tasks
from prompttune.tasks.data import GENERATORS, task_data
from prompttune.tasks.recipe import load_recipe

CLASSES = {"contour": 1, "text": 1, "stuff": 3, "instances": 2}


@pytest.mark.parametrize("task", CLASSES)
def test_a_seed_decides_and_every_class_is_shown(task: str) -> None:
    generate = GENERATORS[load_recipe(task).generator]
    first, again, other = generate(3), generate(3), generate(4)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.class_map, again.class_map)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape == (tasks.SIDE, tasks.SIDE, 3)
    assert first.image.dtype == first.class_map.dtype == np.uint8
    shown = {index for seed in range(8) for index in np.unique(generate(seed).class_map).tolist()}
    assert shown == set(range(CLASSES[task] + 1))


@pytest.mark.parametrize("task", CLASSES)
def test_a_task_needs_no_data(task: str) -> None:
    data = task_data(load_recipe(task), None)
    assert data.generated
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 6)
    names = [sample.name for part in (data.train, data.val, data.test) for sample in part]
    assert len(set(names)) == 22


def test_outlines_part_what_has_two_numbers() -> None:
    things = np.zeros((9, 12), np.uint8)
    things[2:7, 2:6], things[2:7, 6:10] = 1, 2
    line = tasks.outlines(things)
    assert line[4].tolist() == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0]
    wide = tasks.bordered(things)
    assert wide[4].tolist() == [0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0]


def test_letters_differ_from_their_ground() -> None:
    for seed in range(5):
        sample = tasks.generate_text(seed)
        ink = cv2.erode(sample.class_map, np.ones((3, 3), np.uint8)) > 0
        ground = cv2.dilate(sample.class_map, np.ones((7, 7), np.uint8)) == 0
        means = [sample.image[where].mean() for where in (ink, ground)]
        assert abs(means[0] - means[1]) > 30


def test_cells_stay_apart_by_their_border() -> None:
    for seed in range(5):
        sample = tasks.generate_instances(seed)
        inside = (sample.class_map == tasks.CELL).astype(np.uint8)
        numbers = tasks._crowd(np.random.default_rng(seed), tasks.SIDE)
        count, labels = cv2.connectedComponents(inside, connectivity=4)
        for label in range(1, count):  # no component reaches over two cells
            assert len(np.unique(numbers[labels == label])) == 1
