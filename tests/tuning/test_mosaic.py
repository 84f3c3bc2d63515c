"""A mosaic shows each class of a task, cut out of training images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.mosaic import mosaic
from prompttune.utils.errors import InputError

NAMES = tuple("abcdefg")


def sample(label: int, value: int, view: np.ndarray | None = None) -> LoadedSample:
    """An image of one gray, and in its middle a class of another one."""
    class_map = np.zeros((30, 40), np.uint8)
    class_map[10:22, 12:30] = label
    image = np.where(class_map[..., None] > 0, value, 7).repeat(3, 2).astype(np.uint8)
    return LoadedSample(f"{label}-{value}", image, class_map, view)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe("grays", classes=NAMES, group=0, init="mosaic")


def shown(prompt, number: int = 0) -> np.ndarray:
    return prompt.palette.decide(prompt.palette.scores(prompt.colors[number])).numpy()


def test_each_class_has_a_cell(recipe: Recipe) -> None:
    train = [sample(label, 30 * label) for label in range(1, 8)]
    prompt = starting_prompt(recipe, 32, train)
    assert [image.shape for image in (*prompt.images, *prompt.colors)] == [(3, 32, 32)] * 2
    found = shown(prompt)
    assert set(np.unique(found)) >= set(range(1, 8))
    for label in range(1, 8):  # a 3 x 3 grid of 11 pixels, in the classes' order
        top, left = 11 * ((label - 1) // 3), 11 * ((label - 1) % 3)
        cell = slice(top, top + 11), slice(left, left + 11)
        assert (found[cell] == label).all(), "the class fills its cell"
        assert (prompt.images[0][:, *cell] * 255).round().unique().tolist() == [30 * label]
    assert (found[22:, 11:22] == 1).all(), "cells that are left begin anew"


def test_the_image_that_shows_most_of_a_class_is_cut(recipe: Recipe) -> None:
    few = sample(1, 50)
    few.class_map[12:] = 0
    for seed in range(4):
        prompt = mosaic(replace(recipe, seed=seed), 32, [few, sample(1, 200)])
        assert float(prompt.images[0].max()) == pytest.approx(200 / 255)


def test_pixels_outside_of_the_field_of_view_are_no_class(recipe: Recipe) -> None:
    view = np.zeros((30, 40), bool)
    prompt = mosaic(recipe, 32, [sample(1, 50), sample(2, 80, view)])
    assert set(np.unique(shown(prompt))) == {1}
    with pytest.raises(InputError, match="none does"):
        mosaic(recipe, 32, [sample(2, 80, view)])


def test_several_mosaics_differ_and_a_seed_repeats_them(recipe: Recipe) -> None:
    train = [sample(label, 20 * label + more) for label in range(1, 8) for more in range(9)]
    recipe = replace(recipe, prompts=2, scale=0.8, seg_type=1)
    first, again = (mosaic(recipe, 16, train) for _ in range(2))
    assert (len(first.images), first.seg_type, first.scale) == (2, 1, 0.8)
    assert not torch.equal(*first.images)
    for halves in ("images", "colors"):
        for one, other in zip(getattr(first, halves), getattr(again, halves), strict=True):
            assert torch.equal(one, other)
