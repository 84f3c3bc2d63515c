"""Where prompts start, and whose images they hold."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tuning.init import (
    MIN_BACKGROUND,
    MIN_SHARE,
    SCENES,
    covering,
    generated_examples,
    pixel_counts,
    scored_map,
    starting_prompt,
)
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("init", ["noise", "example", "generated", "best-generated"])
def test_gives_as_many_prompts_as_asked_at_the_scale(recipe, data, init: str, count: int) -> None:
    recipe = replace(recipe, init=init, prompts=count, scale=0.5, generator="fundus")
    prompt = starting_prompt(recipe, 16, data.train)
    images, colors = prompt.at(16)
    assert images.shape == colors.shape == (count, 3, 16, 16)
    assert 0 <= images.min() <= images.max() <= 1
    assert prompt.scale == 0.5
    assert prompt.palette.classes == recipe.classes


@pytest.mark.parametrize("init", ["noise", "generated", "best-generated"])
def test_noise_and_generated_starts_read_no_image(recipe, init: str) -> None:
    recipe = replace(recipe, init=init, generator="fundus")
    first, again = (starting_prompt(recipe, 16, train=()) for _ in range(2))
    assert torch.equal(first.images[0], again.images[0])


def test_best_generated_is_the_best_of_all_scenes(recipe) -> None:
    recipe = replace(recipe, init="best-generated", seg_type=1)
    tried: list[Prompt] = []

    def judge(prompts: Sequence[Prompt]) -> list[float]:
        tried.extend(prompts)
        return [float(index == 20) for index in range(len(prompts))]

    chosen = starting_prompt(recipe, 16, (), judge)
    assert len(tried) == SCENES
    assert torch.equal(chosen.images[0], tried[20].images[0])
    assert torch.equal(chosen.colors[0], tried[20].colors[0])
    assert chosen.seg_type == 1


def test_example_is_a_crop_of_a_training_image(recipe, data) -> None:
    prompt = starting_prompt(replace(recipe, init="example"), 16, data.train)
    crop = (prompt.images[0] * 255).round().byte().permute(1, 2, 0).numpy()
    windows = [
        np.lib.stride_tricks.sliding_window_view(each.image, (16, 16, 3)).reshape(-1, 16, 16, 3)
        for each in data.train
    ]
    assert any((crop == each).all((1, 2, 3)).any() for each in windows)


def test_example_without_foreground_is_refused(recipe, data) -> None:
    empty = [replace(each, class_map=np.zeros_like(each.class_map)) for each in data.train]
    with pytest.raises(InputError, match="show a class"):
        starting_prompt(replace(recipe, init="example"), 16, empty)


def test_outside_of_the_field_of_view_is_ignored() -> None:
    view = np.array([[True, False]])
    sample = LoadedSample("a", np.zeros((1, 2, 3), np.uint8), np.ones((1, 2), np.uint8), view)
    assert scored_map(sample).tolist() == [[1, 255]]


NAMES = ("a", "b", "c", "d", "e")


def examples(count: int, classes: tuple[str, ...] = ("a",), seed: int = 0) -> list:
    return list(islice(generated_examples(classes, 0.5, 32, seed), count))


def test_a_seed_fixes_the_examples_and_another_gives_others() -> None:
    first, again, other = examples(3), examples(3), examples(3, seed=1)
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one.images[0], same.images[0])
        assert torch.equal(one.colors[0], same.colors[0])
        assert not torch.equal(one.images[0], different.images[0])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_shows_background_and_the_first_classes(count: int) -> None:
    palette = Palette.of(NAMES[:count])
    for prompt in examples(4, NAMES[:count]):
        class_map = palette.decide(palette.scores(prompt.colors[0][None]), 0.5)[0]
        shares = torch.bincount(class_map.flatten().long(), minlength=count + 1) / class_map.numel()
        assert shares[0] > MIN_BACKGROUND
        assert (shares[1 : 1 + min(count, 3)] > MIN_SHARE).all()


def test_each_answers_at_the_scale_and_canvas_asked_for() -> None:
    (prompt,) = examples(1)
    assert (prompt.scale, prompt.canvas) == (0.5, 32)
    assert prompt.images[0].shape == prompt.colors[0].shape == (3, 32, 32)
    assert 0 <= prompt.images[0].min() < prompt.images[0].max() <= 1


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
