"""Outlines, painted by OpenCV, give the same pixels again."""

import cv2
import numpy as np
import pytest

from prompttune.outputs.outlines import center_line_length, find_shapes


def test_a_ring_has_an_outline_and_a_hole() -> None:
    class_map = np.zeros((12, 14), np.uint8)
    class_map[2:9, 3:11] = 2
    class_map[4:6, 5:8] = 0
    (shape,) = find_shapes(class_map)
    assert (shape.number, shape.box, shape.area) == (2, (3, 2, 8, 7), 7 * 8 - 6)
    outer, hole = shape.rings
    assert np.ptp(outer, axis=0).tolist() == [8, 7]
    assert np.ptp(hole, axis=0).tolist() == [3, 2]
    assert (hole.min(0) > outer.min(0)).all()


@pytest.mark.parametrize("least", [1, 5])
def test_things_touch_by_their_sides_and_small_ones_are_left_out(least: int) -> None:
    class_map = np.zeros((9, 9), np.uint8)
    class_map[0, 0] = class_map[1, 1] = 1  # touch by a corner alone
    class_map[4:8, 4:8] = 1
    areas = sorted(shape.area for shape in find_shapes(class_map, least))
    assert areas == ([1, 1, 16] if least == 1 else [16])


def test_painted_again_it_is_the_same_thing() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((60, 80)), (0, 0), 4)
    class_map = (noise > np.median(noise)).astype(np.uint8)
    again = np.zeros((600, 800), np.uint8)
    for shape in find_shapes(class_map):
        cv2.fillPoly(again, [np.round(10 * ring).astype(np.int32) for ring in shape.rings], 1)
    assert np.array_equal(again[5::10, 5::10], class_map)


def test_lengths() -> None:
    line = np.zeros((30, 50), bool)
    line[14:17, 5:45] = True
    assert center_line_length(line) == pytest.approx(38, abs=3)
    assert center_line_length(line, (0.5, 1)) == pytest.approx(19, abs=3)
    slanted = np.eye(40, dtype=bool)
    assert center_line_length(slanted) == pytest.approx(39 * 2**0.5, abs=3)
    corner = np.zeros((20, 20), bool)
    corner[5, 5:15] = corner[5:15, 5] = True
    assert center_line_length(corner) == pytest.approx(18, abs=2)
    assert center_line_length(np.zeros((5, 5), bool)) == 0
