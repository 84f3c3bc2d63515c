"""Grids of examples, and colors of instances."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from prompttune.prompts.arranging import check_joins, colored_instances, in_a_grid
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


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


PLANE = torch.zeros(3, 4, 4)
LEAD = Prompt((PLANE,), (PLANE,), Palette.of(["a", "b"]), scale=1.0, canvas=4, fingerprint="f" * 64)


def test_the_order_of_classes_does_not_matter() -> None:
    check_joins(replace(LEAD, fingerprint=None, palette=Palette.of(["b", "a"])), LEAD)


@pytest.mark.parametrize(
    ("changes", "line"),
    [({"palette": Palette.of(["a", "c"])}, "classes a, c and a, b"),
     ({"fingerprint": "e" * 64}, "backbones e{12} and f{12}"),
     ({"palette": Palette(("a", "b"), ((255, 0, 0), (0, 255, 0)))}, "colors"),
     ({"canvas": 8}, "canvases 8 and 4"), ({"scale": 2.0}, r"scales 2\.0 and 1\.0"),
     ({"seg_type": 1}, "type tokens 1 and 0"), ({"grid": True}, "grids")],
)  # fmt: skip
def test_what_differs_is_named(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        check_joins(replace(LEAD, **changes), LEAD)
