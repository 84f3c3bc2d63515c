"""Compositions of prompts: their classes, their decision, and what is refused."""

import numpy as np
import pytest
import torch

from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def prompt_of(*classes: str, **fields: object) -> Prompt:
    pixels = (torch.zeros(3, 4, 4),)
    return Prompt(pixels, pixels, Palette.of(classes), **fields)  # type: ignore[arg-type]


def test_the_classes_follow_each_other_in_new_colors() -> None:
    both = Composition([prompt_of("vessel"), prompt_of("disc", "cup")])
    assert both.palette == Palette.of(["vessel", "disc", "cup"])
    assert both.parts == both.prompts


def slow_decision(scores: np.ndarray, prompts: list[Prompt]) -> np.ndarray:
    """Go pixel by pixel."""
    decided = np.zeros(scores.shape[1:], np.uint8)
    for pixel in np.ndindex(*decided.shape):
        first, candidates = 0, []
        for prompt in prompts:
            count = len(prompt.palette.classes)
            own = [float(scores[(first + n, *pixel)]) for n in range(count)]
            if sum(own) > prompt.threshold:
                candidates += [(score, -(first + n)) for n, score in enumerate(own)]
            first += count
        if candidates:
            decided[pixel] = 1 - max(candidates)[1]
    return decided


@pytest.mark.parametrize("seed", range(3))
def test_the_best_score_above_its_own_threshold_wins(seed: int) -> None:
    prompts = [
        prompt_of("a", threshold=0.7), prompt_of("b", "c", threshold=0.9),
        prompt_of("d", threshold=0.2),
    ]  # fmt: skip
    scores = np.random.default_rng(seed).random((4, 20, 20), np.float32)
    decided = Composition(prompts).decide(torch.from_numpy(scores))
    assert decided.dtype == torch.uint8
    assert np.array_equal(decided.numpy(), slow_decision(scores, prompts))
    assert set(np.unique(decided)) == {0, 1, 2, 3, 4}


def test_a_high_score_below_its_threshold_does_not_win() -> None:
    both = Composition([prompt_of("a", threshold=0.9), prompt_of("b", threshold=0.3)])
    scores = torch.tensor([[0.8, 0.95, 0.8, 0.95], [0.4, 0.4, 0.1, 0.96]])[:, None]
    assert both.decide(scores).tolist() == [[2, 1, 0, 2]]


def test_one_prompt_decides_as_it_does_alone() -> None:
    prompt = prompt_of("a", "b", threshold=0.6)
    scores = torch.rand(2, 30, 30, generator=torch.Generator().manual_seed(0)) / 2
    assert torch.equal(Composition([prompt]).decide(scores), prompt.decide(scores))


@pytest.mark.parametrize(
    ("prompts", "line"),
    [
        ([], "no prompts"),
        ([prompt_of("a", "b", name="one"), prompt_of("b", name="two")],
         "one and two both have a class 'b'"),
        ([prompt_of(*map(str, range(200))), prompt_of(*map(str, range(200, 300)))], "300 classes"),
        ([prompt_of("a", fingerprint="1" * 64), prompt_of("b", fingerprint="2" * 64)],
         r"\(111111111111\) and examples \(222222222222\) were learned on different backbones"),
        ([prompt_of("a"), prompt_of("b", instance_of="b")], "tells instances apart"),
    ],
)  # fmt: skip
def test_what_cannot_be_composed_is_refused(prompts: list[Prompt], line: str) -> None:
    with pytest.raises(InputError, match=line):
        Composition(prompts)
