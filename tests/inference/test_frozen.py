"""Which encoded prompts are kept, and when they are made anew."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from serving import make_network, make_prompt, photo

from prompttune.inference import frozen
from prompttune.inference.frozen import WINDOWS, EncodedPrompts, describe_windows, looked_at_most
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


class Encoder:
    def __init__(self) -> None:
        self.made: list[Prompt] = []
        self.weights = [torch.zeros(2), torch.zeros(3)]

    def __call__(self, prompt: Prompt) -> str:
        self.made.append(prompt)
        return f"{id(prompt)}"


def prompt_of(images: int = 1) -> Prompt:
    pixels = tuple(torch.zeros(3, 4, 4) for _ in range(images))
    return Prompt(pixels, pixels, Palette.of(["a"]))


def test_each_prompt_is_encoded_once() -> None:
    kept, encode = EncodedPrompts(), Encoder()
    one, two = prompt_of(), prompt_of()
    for _ in range(2):
        found = kept.of_each([one, two, one], encode, encode.weights)  # type: ignore[arg-type]
        assert found == [str(id(one)), str(id(two)), str(id(one))]
    assert encode.made == [one, two]


def test_changed_pixels_or_weights_are_encoded_again() -> None:
    kept, encode = EncodedPrompts(), Encoder()
    prompt = prompt_of()
    for change in (lambda: None, lambda: prompt.colors[0].add_(1),
                   lambda: encode.weights[1].mul_(2),
                   lambda: encode.weights.__setitem__(0, torch.ones(2))):  # fmt: skip
        change()
        kept.of_each([prompt], encode, encode.weights)  # type: ignore[arg-type]
    assert len(encode.made) == 4


def test_those_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "MAX_IMAGES", 4)
    kept, encode = EncodedPrompts(), Encoder()
    first, second, large = prompt_of(2), prompt_of(2), prompt_of(6)
    for prompt in (first, second, first, prompt_of(1), first):
        kept.of_each([prompt], encode, encode.weights)  # type: ignore[arg-type]
    assert encode.made.count(first) == 1
    kept.of_each([second], encode, encode.weights)  # type: ignore[arg-type]
    assert encode.made.count(second) == 2
    for _ in range(2):
        kept.of_each([large], encode, encode.weights)  # type: ignore[arg-type]
    assert encode.made.count(large) == 1, "one that is larger than the limit is kept alone"


def test_what_was_made_goes_with_its_prompt() -> None:
    kept, encode = EncodedPrompts(), Encoder()
    kept.of_each([prompt_of()], encode, encode.weights)  # type: ignore[arg-type]
    encode.made.clear()
    gc.collect()
    assert len(kept._kept) == 0


def test_a_changed_type_shift_is_encoded_again() -> None:
    kept, encode = EncodedPrompts(), Encoder()
    prompt = replace(prompt_of(), type_shift=torch.zeros(4))
    for _ in range(2):
        kept.of_each([prompt], encode, encode.weights)  # type: ignore[arg-type]
        prompt.type_shift.add_(1)  # type: ignore[union-attr]
    assert encode.made == [prompt, prompt]


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(make_network())


def test_windows_are_described_row_by_row(segmenter: Segmenter) -> None:
    prompt, image = make_prompt("a", scale=1.0), photo(16, 48)
    found = describe_windows(segmenter, image, prompt, 0.0)
    assert found.shape == (3, segmenter.network.config.dim)
    for number, seen in enumerate(found):
        alone = describe_windows(segmenter, image[:, 16 * number :][:, :16], prompt, 0.0)
        np.testing.assert_allclose(seen, alone[0], rtol=1e-4, atol=1e-5)
    assert np.array_equal(found, segmenter.describe(image, prompt))


def test_some_tokens_of_each_later_block_are_kept(segmenter: Segmenter) -> None:
    config, prompt = segmenter.network.config, make_prompt("a", scale=1.0)
    kept = looked_at_most(segmenter, [photo(40, 60)], prompt, 5).kept_tokens
    assert kept is not None
    assert len(kept) == config.depth - config.apart
    for block in kept:
        assert len(block) == 5
        assert list(block) == sorted(set(block))
        assert max(block) < (config.canvas // config.patch) ** 2
    assert WINDOWS > 0
    with pytest.raises(InputError):
        looked_at_most(segmenter, [photo(40, 60)], prompt, 10**6)
    assert torch.equal(prompt.images[0], make_prompt("a", scale=1.0).images[0])
