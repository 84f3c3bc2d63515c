"""Polygons and run lengths against slow readings of what they mean."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from rle_oracle import slow_counts, slow_text

from prompttune.data.annotations.outlines import (
    Bitmap,
    Polygons,
    Runs,
    decode_counts,
    decode_runs,
    fill_polygon,
)


def slow_inside(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Count for each pixel's center the edges to its left that its row crosses."""
    mask = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            for (x, y), (x2, y2) in zip(points, np.roll(points, -1, 0), strict=True):
                if (y <= row + 0.5) != (y2 <= row + 0.5):
                    crossing = x + (row + 0.5 - y) * (x2 - x) / (y2 - y)
                    mask[row, column] ^= crossing <= column + 0.5
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_polygons_hold_the_centers_that_lie_inside(seed: int) -> None:
    """Random ones, so mostly with edges that cross, and partly outside."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, 24, (rng.integers(3, 9), 2))
    if seed % 2:
        points = points.round()  # corners on the corners of pixels
    assert np.array_equal(fill_polygon(points, 17, 20), slow_inside(points, 17, 20))


def test_a_square_covers_its_pixels() -> None:
    square = fill_polygon(np.array([[2.0, 1], [5, 1], [5, 3], [2, 3]]), 4, 6)
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:5] = True
    assert np.array_equal(square, expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_large_polygon_is_what_opencv_fills_but_for_its_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 24))
    radii = rng.uniform(20, 60, 24)
    points = np.stack([80 + radii * np.cos(angles), 70 + radii * np.sin(angles)], 1)
    filled, border = np.zeros((140, 160), np.uint8), np.zeros((140, 160), np.uint8)
    at_centers = np.round((points - 0.5) * 256).astype(np.int32)
    cv2.fillPoly(filled, [at_centers], 1, shift=8)
    cv2.polylines(border, [at_centers], True, 1, 2, shift=8)
    ours = np.zeros((140, 160), np.uint8)
    outline = Polygons.of([points.ravel().tolist()])
    outline.paint(ours, 1)
    assert np.array_equal(ours[border == 0], filled[border == 0])
    assert outline.area() == pytest.approx(cv2.contourArea(points.astype(np.float32)), rel=1e-4)
    assert ours.sum() == pytest.approx(outline.area(), rel=0.02)


def test_neighbors_share_no_pixel_and_leave_none() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 30, (2, 2))
    fan = np.array([[0, 0], [30, 0], [30, 30], [0, 30], [0, 0]], float)
    total = np.zeros((30, 30), int)
    for first, second in pairwise(fan):
        total += fill_polygon(np.stack([first, second, corners[0]]), 30, 30)
    assert (total == 1).all()


def test_bitmaps_lie_where_they_belong() -> None:
    class_map = np.zeros((4, 5), np.uint8)
    bitmap = Bitmap(np.array([[True, False], [True, True]]), 2, 3)
    bitmap.paint(class_map, 7)
    assert class_map.tolist() == [[0] * 5, [0] * 5, [0, 0, 0, 7, 0], [0, 0, 0, 7, 7]]
    assert bitmap.area() == 3
    with pytest.raises(ValueError, match="outside"):
        bitmap.paint(np.zeros((3, 5), np.uint8), 7)


@pytest.mark.parametrize("x", [-3, 53])
def test_polygons_may_reach_a_little_beyond_the_border(x: float) -> None:
    class_map = np.zeros((40, 50), np.uint8)
    Polygons.of([[25, 10, 25 + np.sign(x) * 25.9, 20, 25, 30]]).paint(class_map, 1)
    assert 200 < class_map.sum() < 260
    with pytest.raises(ValueError, match=rf"point {x}, 20 lies outside the 50 x 40 pixels"):
        Polygons.of([[25, 10, x, 20, 25, 30]]).paint(class_map, 1)


@pytest.mark.parametrize(
    "polygons", [[], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5, "a"]]]
)
def test_what_is_no_polygon_is_refused(polygons) -> None:
    with pytest.raises(ValueError, match=r"3 points|reshape|convert"):
        Polygons.of(polygons)
    with pytest.raises(ValueError, match="finite"):
        Polygons.of([[1, 2, 3, 4, np.nan, 6]])


@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_are_read_in_both_forms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.random((5, 7)), (150, 100)) > 0.3 + 0.1 * seed
    counts = slow_counts(mask)
    for form in (counts, slow_text(counts), slow_text(counts).encode()):
        assert np.array_equal(decode_runs(form, mask.shape), mask)
    for form in (counts, slow_text(counts)):
        painted = np.zeros(mask.shape, np.uint8)
        Runs((100, 150), form).paint(painted, 255)
        assert np.array_equal(painted, mask * np.uint8(255))
        assert Runs((100, 150), form).area() == mask.sum()


def test_text_as_the_format_has_it() -> None:
    """Worked out by hand: 6 is '6'; 40 is 8 + 32, so 'X' and '1'; then 1; then 4 - 40 = -36."""
    assert decode_counts("6X11lN") == [6, 40, 1, 4]


@pytest.mark.parametrize("counts", [[3, 4], [-1, 7], [], "6X", "é"])
def test_run_lengths_that_do_not_fit_are_refused(counts) -> None:
    with pytest.raises(ValueError, match=r"run lengths|ascii"):
        decode_runs(counts, (2, 3))
