"""What is remembered, in which colors, and of which part of a frame."""

import numpy as np
import pytest
import torch
from torch import Tensor

from prompttune.inference.sliding_window import Result
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.video.memory import Memory, soft_colors

CANVAS = 8
RED_BLUE = Palette(("red", "blue"), ((255, 0, 0), (0, 0, 255)))


def prompt_of(scale: float | None = None) -> Prompt:
    image = torch.full((3, CANVAS, CANVAS), 0.5)
    return Prompt((image,), (image,), RED_BLUE, scale)


def answer(scores: Tensor) -> Result:
    return Result(RED_BLUE.decide(scores).numpy(), scores.numpy())


def plain(value: float, size: tuple[int, int] = (CANVAS, CANVAS)) -> tuple[Tensor, Result]:
    """A gray frame that is red with a score of .9 everywhere."""
    return torch.full((3, *size), value), answer(
        torch.stack((torch.full(size, 0.9), torch.zeros(size)))
    )


def test_soft_colors_are_the_expected_ones() -> None:
    scores = torch.tensor([0.25, 0.5]).view(2, 1, 1)
    # A quarter red, half blue, the rest black.
    assert soft_colors(scores, RED_BLUE).flatten().tolist() == pytest.approx([0.25, 0, 0.5])
    hard = torch.tensor([0.0, 1.0]).view(2, 1, 1)
    assert torch.equal(soft_colors(hard, RED_BLUE), RED_BLUE.paint(np.array([[2]])))


@pytest.mark.parametrize("length", [0, 1, 3])
def test_the_last_frames_stand_behind_the_prompt(length: int) -> None:
    prompt = prompt_of()
    memory = Memory(prompt, length, CANVAS)
    assert memory.prompt() is prompt
    for number in range(1, 6):
        memory.add(*plain(number / 10))
    kept = memory.prompt()
    assert kept.palette == prompt.palette
    assert kept.images[0] is prompt.images[0]
    values = [float(image.mean()) for image in kept.images[1:]]
    assert values == pytest.approx([0.3, 0.4, 0.5][3 - length :])
    for colors in kept.colors[1:]:
        assert colors.mean((1, 2)).tolist() == pytest.approx([0.9, 0, 0])


def test_large_frames_are_kept_at_the_canvas_size() -> None:
    memory = Memory(prompt_of(), 2, CANVAS)
    memory.add(*plain(0.5, (50, 70)))
    kept = memory.prompt()
    assert kept.images[1].shape == kept.colors[1].shape == (3, CANVAS, CANVAS)


def test_a_frame_without_objects_does_not_enter() -> None:
    memory = Memory(prompt_of(), 1, CANVAS)
    memory.add(*plain(0.3))
    faint = answer(torch.full((2, CANVAS, CANVAS), 0.2))
    assert not faint.classes.any()
    memory.add(torch.full((3, CANVAS, CANVAS), 0.9), faint)
    assert float(memory.prompt().images[1].mean()) == pytest.approx(0.3)


def test_at_a_scale_the_window_with_most_foreground_is_kept() -> None:
    memory = Memory(prompt_of(scale=0.5), 1, CANVAS)
    pixels, scores = torch.zeros(3, 40, 60), torch.zeros(2, 40, 60)
    scores[1, 10:20, 30:40] = 0.8
    pixels[:, 10:20, 30:40] = 0.6
    memory.add(pixels, answer(scores))
    kept = memory.prompt()
    # The object, 5 x 5 at this scale, lies inside the window and keeps its score.
    assert kept.scale == 0.5
    assert kept.images[1].shape == (3, CANVAS, CANVAS)
    assert int((kept.colors[1][2] > 0.4).sum()) == 25
    assert float(kept.colors[1][2].max()) == pytest.approx(0.8, abs=0.01)
    assert float(kept.colors[1][0].max()) < 0.01
    inside = kept.colors[1][2] > 0.4
    assert float(kept.images[1][0][inside].mean()) == pytest.approx(0.6, abs=0.1)
