"""A start of several images shows all classes of a task."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.tuning.covering import covering, pixel_counts
from prompttune.tuning.init import starting_prompt
from prompttune.utils.errors import InputError

COUNTS = np.array([[90, 0, 0], [50, 5, 0], [0, 60, 0], [0, 0, 3], [0, 0, 0]])


@pytest.mark.parametrize("seed", range(4))
def test_each_class_has_the_image_that_shows_most_of_it(seed: int) -> None:
    assert covering(COUNTS, 3, seed) == [0, 2, 3]
    assert covering(COUNTS, 1, seed) == [0]


def test_images_are_chosen_twice_only_where_they_are_too_few() -> None:
    assert sorted(covering(COUNTS, 4, 0)) == [0, 1, 2, 3]
    assert sorted(covering(COUNTS, 6, 0))[:1] == [0]
    assert set(covering(COUNTS, 6, 0)) == {0, 1, 2, 3}
    with pytest.raises(InputError, match="none does"):
        covering(COUNTS[4:], 1, 0)


def test_pixels_count_in_the_field_of_view(many) -> None:
    first = many.train[0]
    counts = pixel_counts([first], 5)
    for label in range(1, 6):
        assert counts[0, label - 1] == np.count_nonzero(first.class_map == label)
    view = np.zeros_like(first.class_map, dtype=bool)
    assert not pixel_counts([replace(first, field_of_view=view)], 5).any()


def test_groups_begin_with_images_of_all_their_classes(grouped, many) -> None:
    recipe = replace(grouped, init="example", prompts=2, classes=grouped.classes[:4])
    for part in starting_prompt(recipe, 40, many.train).parts:
        shown = part.palette.scores(torch.stack(part.colors)).amax((0, 2, 3)) > 0.9
        assert shown.all(), part.palette.classes
        assert len(part.images) == 2
