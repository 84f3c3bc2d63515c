"""Parts lie inside their things."""

import cv2
import numpy as np
import pytest

from prompttune.synthetic.thing_parts import part_of


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
