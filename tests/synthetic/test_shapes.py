"""Generated things: masks that vary, parts inside their things, scenes that say what they show."""

import cv2
import numpy as np
import pytest

from prompttune.synthetic.families import FAMILIES
from prompttune.synthetic.lines import contours
from prompttune.synthetic.scenes import Task
from prompttune.synthetic.shapes import MOST, TRAITS
from prompttune.synthetic.surfaces import tiling
from prompttune.synthetic.textures import Texture
from prompttune.synthetic.thing_parts import part_of


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("size", [24, 48])
def test_shapes_are_numbered_and_differ_from_draw_to_draw(family, size: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [family(rng, size, rng.random(TRAITS)) for _ in range(12)]
    assert all(one.shape == (size, size) and one.dtype == np.uint8 for one in drawn)
    assert max(one.max() for one in drawn) <= MOST
    assert any((one != drawn[0]).any() for one in drawn[1:])
    assert any(one.any() and not one.all() for one in drawn)


@pytest.mark.parametrize("family", set(FAMILIES), ids=lambda family: family.__name__)
@pytest.mark.parametrize("traits", [0.0, 0.5, 0.999])
def test_shapes_bear_extreme_traits(family, traits: float) -> None:
    drawn = family(np.random.default_rng(1), 32, np.full(TRAITS, traits))
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("kind", range(4))
def test_tilings_have_tiles_of_about_equal_size(kind: int) -> None:
    """Every second tile or so is chosen; the whole ones among them are as large as each other."""
    traits = np.array([0.3, 0.0, 0.9, 0.9, (kind + 0.5) / 4, 0.5])
    areas = []
    for seed in range(4):
        drawn = tiling(np.random.default_rng(seed), 256, traits)
        inside = drawn.copy()
        inside[1:-1, 1:-1] = 0
        whole = np.setdiff1d(np.unique(drawn), np.unique(inside))
        areas += [int((drawn == number).sum()) for number in whole]
    assert len(areas) > 10
    assert np.percentile(areas, 80) < 1.3 * np.percentile(areas, 20)


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


def test_contours_are_the_edges_of_what_is_there() -> None:
    classes = np.zeros((40, 40), np.uint16)
    classes[10:30, 10:30] = 300
    edges = contours(classes, 3)
    assert edges.dtype == np.uint16
    assert set(np.unique(edges)) == {0, 300}
    assert edges[10, 15] == edges[9, 15] == 300
    assert not edges[20, 20]
    assert not edges[:8].any()


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
        assert scene.things.max() <= MOST
        with_parts += len(parts) > 0
    assert with_parts > 3


def test_textures_of_one_colour_differ_in_pattern_alone() -> None:
    rng = np.random.default_rng(0)
    first = Texture.draw(rng)
    for _ in range(10):
        other = Texture.draw(rng, first.colour)
        assert np.array_equal(first.colour, other.colour)
        assert other.paint(rng, 32).shape == (32, 32, 3)
