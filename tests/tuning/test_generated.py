"""Generated examples: what they show, and that a seed fixes them."""

from itertools import islice

import pytest
import torch

from prompttune.prompts.palette import Palette
from prompttune.tuning.generated import LEAST_BACKGROUND, LEAST_SHARE, generated_examples

NAMES = ("a", "b", "c", "d", "e")


def examples(count: int, classes: tuple[str, ...] = ("a",), seed: int = 0) -> list:
    return list(islice(generated_examples(classes, 0.5, 32, seed), count))


def test_a_seed_fixes_the_examples_and_another_gives_others() -> None:
    first, again, other = examples(3), examples(3), examples(3, seed=1)
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one.images[0], same.images[0])
        assert torch.equal(one.colours[0], same.colours[0])
        assert not torch.equal(one.images[0], different.images[0])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_shows_background_and_the_first_classes(count: int) -> None:
    palette = Palette.of(NAMES[:count])
    for prompt in examples(4, NAMES[:count]):
        class_map = palette.decide(palette.scores(prompt.colours[0][None]), 0.5)[0]
        shares = torch.bincount(class_map.flatten().long(), minlength=count + 1) / class_map.numel()
        assert shares[0] > LEAST_BACKGROUND
        assert (shares[1 : 1 + min(count, 3)] > LEAST_SHARE).all()


def test_each_answers_at_the_scale_and_canvas_asked_for() -> None:
    (prompt,) = examples(1)
    assert (prompt.scale, prompt.canvas) == (0.5, 32)
    assert prompt.images[0].shape == prompt.colours[0].shape == (3, 32, 32)
    assert 0 <= prompt.images[0].min() < prompt.images[0].max() <= 1
