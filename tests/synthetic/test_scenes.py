"""Scenes say what they show."""

import cv2
import numpy as np
import pytest

from prompttune.synthetic.scenes import FAMILIES, Task, part_of
from prompttune.synthetic.shapes import MAX_THINGS, TRAITS


def test_scenes_of_a_task_share_its_classes() -> None:
    rng = np.random.default_rng(1)
    with_parts = 0
    for number in range(40):
        task = Task.draw(rng, hard=number % 2 > 0, single_things=number % 3 == 0)
        scene = task.scene(rng, 40)
        assert scene.image.shape == (40, 40, 3)
        assert scene.image.dtype == np.float32
        assert 0 <= scene.image.min() <= scene.image.max() <= 1
        labels = {layer.label for layer in task.layers}
        parts = {layer.part.label for layer in task.layers if layer.part}
        assert set(np.unique(scene.classes)) <= {0} | labels | parts
        assert scene.things.max() <= MAX_THINGS
        with_parts += len(parts) > 0
    assert with_parts > 3


@pytest.mark.parametrize("kind", range(4))
def test_a_part_lies_inside_its_thing(kind: int) -> None:
    things = np.zeros((64, 64), np.uint8)
    cv2.circle(things, (20, 20), 12, 1, -1)
    cv2.rectangle(things, (36, 30), (60, 55), 2, -1)
    rng = np.random.default_rng(0)
    part = part_of(rng, things, np.array([(kind + 0.5) / 4, 0.4, 0, 0, 0, 0]))
    assert not part[things == 0].any()
    for number in (1, 2):
        assert 0.05 < part[things == number].mean() < 0.95


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("size", [24, 48])
def test_shapes_are_numbered_and_differ_from_draw_to_draw(family, size: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [family(rng, size, rng.random(TRAITS)) for _ in range(12)]
    assert all(one.shape == (size, size) and one.dtype == np.uint8 for one in drawn)
    assert max(one.max() for one in drawn) <= MAX_THINGS
    assert any((one != drawn[0]).any() for one in drawn[1:])
    assert any(one.any() and not one.all() for one in drawn)


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("traits", [0.0, 0.5, 0.999])
def test_shapes_bear_extreme_traits(family, traits: float) -> None:
    drawn = family(np.random.default_rng(1), 32, np.full(TRAITS, traits))
    assert drawn.dtype == np.uint8
