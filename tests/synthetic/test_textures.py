"""Textures of one color differ in their pattern."""

import numpy as np

from prompttune.synthetic.textures import Texture


def test_textures_of_one_color_differ_in_pattern_alone() -> None:
    rng = np.random.default_rng(0)
    first = Texture.draw(rng)
    for _ in range(10):
        other = Texture.draw(rng, first.color)
        assert np.array_equal(first.color, other.color)
        assert other.paint(rng, 32).shape == (32, 32, 3)
