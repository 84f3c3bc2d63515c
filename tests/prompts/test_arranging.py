"""Grids of examples, and colors of instances."""

import numpy as np
import torch

from prompttune.prompts.arranging import colored_instances, in_a_grid
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


def plane(value: float) -> torch.Tensor:
    return torch.full((3, 4, 4), value)


def test_the_first_examples_stand_again_where_the_grid_has_room() -> None:
    planes = tuple(plane(value / 10) for value in (1, 2, 3))
    made = in_a_grid(Prompt(planes, planes, Palette.of(["a"])))
    (image,) = made.images
    assert image.shape == (3, 8, 8)
    corners = [image[0, row, column].item() for row in (0, 7) for column in (0, 7)]
    np.testing.assert_allclose(corners, [0.1, 0.2, 0.3, 0.1], atol=1e-6)


def test_gaps_in_numbers_need_no_colors() -> None:
    ids = [np.array([[0, 7, 9]], np.uint8), np.array([[255, 3, 3]], np.uint8)]
    palette, colors = colored_instances(ids, "cell")
    assert palette.classes == ("cell 1", "cell 2")
    first, second = (palette.decide(palette.scores(each)).tolist() for each in colors)
    assert (first, second) == ([[0, 1, 2]], [[0, 1, 1]])
