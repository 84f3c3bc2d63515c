"""Drawn pixels: those that looking at the whole map would draw."""

import numpy as np
import pytest

from prompttune.data.anchors import Anchors

IGNORE = 255


def some_map(seed: int, height: int = 13, width: int = 17) -> np.ndarray:
    """Return classes 0 to 3 and pixels that do not count, with empty rows among them."""
    rng = np.random.default_rng(seed)
    class_map = rng.choice([0, 0, 0, 1, 2, 3, IGNORE], (height, width)).astype(np.uint8)
    class_map[:2], class_map[5], class_map[-1] = 0, IGNORE, IGNORE
    return class_map


@pytest.mark.parametrize("seed", range(20))
def test_draws_are_those_of_the_whole_map(seed: int) -> None:
    class_map = some_map(seed)
    anchors = Anchors(class_map)
    assert anchors.classes.tolist() == [1, 2, 3]
    for label in (1, 2, 3):
        fast, slow = np.random.default_rng(seed), np.random.default_rng(seed)
        for _ in range(30):
            place = slow.choice(np.flatnonzero(class_map == label))
            assert anchors.of_class(class_map, label, fast) == place
            place = slow.choice(np.flatnonzero(class_map != IGNORE))
            assert anchors.counted(class_map, fast) == place
        assert fast.random() == slow.random(), "no draw more and no draw less"


def test_every_pixel_of_a_class_is_drawn_equally_often() -> None:
    class_map = some_map(3)
    anchors, rng = Anchors(class_map), np.random.default_rng(0)
    drawn = [anchors.of_class(class_map, 2, rng) for _ in range(4000)]
    places, times = np.unique(drawn, return_counts=True)
    assert places.tolist() == np.flatnonzero(class_map == 2).tolist()
    expected = 4000 / len(places)
    assert abs(times - expected).max() < 5 * np.sqrt(expected)


def test_where_nothing_counts_any_pixel_is_drawn() -> None:
    class_map = np.full((4, 6), IGNORE, np.uint8)
    anchors = Anchors(class_map)
    assert not len(anchors.classes)
    drawn = {anchors.counted(class_map, np.random.default_rng(seed)) for seed in range(200)}
    assert drawn == set(range(24))


def test_one_pixel_is_found_in_any_corner() -> None:
    for place in ((0, 0), (0, 6), (4, 0), (4, 6)):
        class_map = np.zeros((5, 7), np.uint8)
        class_map[place] = 9
        drawn = Anchors(class_map).of_class(class_map, 9, np.random.default_rng(1))
        assert divmod(drawn, 7) == place
