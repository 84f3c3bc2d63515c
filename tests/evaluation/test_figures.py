"""Pictures tell hits, misses and false pixels apart."""

import numpy as np

from prompttune.evaluation.figures import FALSE, HIT, MISSED, NOT_COUNTED, colour_answer
from prompttune.prompts.palette import Palette


def test_hits_misses_and_false_pixels_have_their_colours():
    truth = np.array([[1, 1, 0, 0, 255, 1]], np.uint8)
    predicted = np.array([[1, 0, 1, 0, 1, 1]], np.uint8)
    view = np.array([[True] * 5 + [False]])
    painted = colour_answer(predicted, truth, view, Palette.of(["vessel"]))
    assert [tuple(pixel) for pixel in painted[0]] == [
        HIT, MISSED, FALSE, (0, 0, 0), NOT_COUNTED, NOT_COUNTED,
    ]  # fmt: skip


def test_several_classes_keep_the_colours_of_the_palette():
    palette = Palette.of(["a", "b"])
    predicted = np.array([[0, 1, 2, 2]], np.uint8)
    painted = colour_answer(predicted, np.array([[0, 2, 2, 255]], np.uint8), None, palette)
    assert [tuple(pixel) for pixel in painted[0]] == [(0, 0, 0), *palette.colours, NOT_COUNTED]
