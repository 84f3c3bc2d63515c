"""The learnable prompt: what is a parameter, what a step leaves, what comes back."""

import pytest
import torch

from prompttune.backbone import SegGPT
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tuning.learnable import LearnablePrompt, with_learned


def prompt(classes: tuple[str, ...], images: int = 1) -> Prompt:
    pixels = torch.rand(2, images, 3, 16, 16, generator=torch.Generator().manual_seed(images))
    return Prompt(tuple(pixels[0]), tuple(pixels[1]), Palette.of(classes), scale=1.0, canvas=16)


@pytest.mark.parametrize("learn", ["both", "image", "colors"])
def test_the_halves_that_are_learned(learn: str) -> None:
    learnable = LearnablePrompt(prompt(("a",)), 16, learn, bounded=True)
    assert learnable.images.requires_grad is (learn != "colors")
    assert learnable.colors.requires_grad is (learn != "image")


def test_pixels_come_back_into_a_picture_only_where_bounded() -> None:
    for bounded in (True, False):
        learnable = LearnablePrompt(prompt(("a",)), 16, "both", bounded)
        with torch.no_grad():
            learnable.images.add_(5)
        learnable.project()
        assert bool(learnable.images.max() <= 1) is bounded


def test_a_composition_answers_as_its_prompts_one_by_one(network: SegGPT) -> None:
    parts = [prompt(("a",), 1), prompt(("b", "c"), 2)]
    both = LearnablePrompt(Composition(parts), 16, "both", bounded=True).eval()
    queries = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        answers = both(network, queries)
        assert answers.shape == (2, 2, 3, 16, 16)
        for part, answer in zip(parts, answers, strict=True):
            alone = LearnablePrompt(part, 16, "both", bounded=True).eval()
            torch.testing.assert_close(alone(network, queries)[0], answer)
    assert both.decide(answers).shape == (2, 16, 16)
    assert both.decide(answers).max() <= 3


def test_noise_is_of_training_alone(network: SegGPT) -> None:
    learnable = LearnablePrompt(prompt(("a",)), 16, "both", True, jitter=0.1, dropout=0.1)
    queries = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        learnable.train()
        assert not torch.equal(learnable(network, queries), learnable(network, queries))
        learnable.eval()
        assert torch.equal(learnable(network, queries), learnable(network, queries))


def test_what_was_learned_takes_the_place_of_the_start() -> None:
    start = Composition([prompt(("a",), 1), prompt(("b",), 2)])
    images, colors = torch.rand(2, 3, 3, 16, 16)
    shifts = torch.rand(2, 4)
    learned = with_learned(start, "f" * 64, images, colors, shifts)
    assert isinstance(learned, Composition)
    assert [len(part.images) for part in learned.parts] == [1, 2]
    assert torch.equal(learned.parts[1].images[1], images[2])
    assert torch.equal(learned.parts[1].type_shift, shifts[1])
    assert {part.fingerprint for part in learned.parts} == {"f" * 64}
    assert isinstance(with_learned(prompt(("a",)), "f" * 64, images[:1], colors[:1]), Prompt)
