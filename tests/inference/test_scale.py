"""The choice of a scale, with a network that finds whatever is bright on its canvas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from prompttune.inference import segmenter as segmenter_module
from prompttune.inference.scale import MAX_TOKENS, candidate_scales, choose_scale, thickness
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts import prompt as prompt_module
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt

CANVAS, PATCH = 32, 4


class Bright(nn.Module):
    """Answers each query's own pixels, so that only what the canvas blurs is lost."""

    def __init__(self, canvas: int = CANVAS) -> None:
        super().__init__()
        self.config = SimpleNamespace(canvas=canvas, patch=PATCH)
        self.name, self.fingerprint = "bright", "f" * 64
        self.windows = 0

    def encode_prompt(self, images: Tensor, *_: object) -> SimpleNamespace:
        assert images.shape[-2:] == (self.config.canvas, self.config.canvas)
        return SimpleNamespace(images=images)

    def ensemble(self, queries: Tensor, _: object) -> Tensor:
        self.windows += len(queries)
        return queries


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(Bright())  # type: ignore[arg-type]


def example(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an image that is bright where the mask is 1, and the mask."""
    return np.repeat(mask[..., None] * np.uint8(255), 3, 2), mask


def lines(size: int = 400, every: int = 20, thick: int = 3) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    for start in range(5, size - thick, every):
        mask[start : start + thick] = 1
    return mask


def blob(size: int = 400) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (np.hypot(rows - size * 0.55, columns - size * 0.45) < size / 4).astype(np.uint8)


def dots(size: int = 400) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return (np.hypot(rows % 50 - 20, columns % 50 - 30) < 4).astype(np.uint8)


@pytest.mark.parametrize(("mask", "least", "most"), [(lines(), 0.3, 1.4), (dots(), 0.2, 1.0)])
def test_small_things_in_a_large_image_are_seen_close(
    segmenter: Segmenter, mask: np.ndarray, least: float, most: float
) -> None:
    prompt = Prompt.from_examples([example(mask)])
    scale = choose_scale(segmenter, prompt)
    assert scale is not None
    assert least <= scale <= most, "not finer than it needs to be"
    result = segmenter.predict(example(np.roll(mask, 7, 1))[0], prompt)
    assert result.scales == (scale,)
    assert (result.classes == np.roll(mask, 7, 1)).mean() > 0.97


def test_a_large_thing_is_seen_whole(segmenter: Segmenter) -> None:
    prompt = Prompt.from_examples([example(blob())])
    assert choose_scale(segmenter, prompt) is None
    scaled = segmenter.scaled(prompt)
    assert scaled.scale is None
    assert scaled.images[0] is prompt.images[0]
    assert segmenter.predict(example(blob())[0], prompt).scales == (None,)


def test_things_of_a_larger_canvas_are_seen_coarser() -> None:
    mask = torch.from_numpy(lines())
    small, large = (candidate_scales([mask], canvas, PATCH) for canvas in (32, 128))
    assert small[1] == pytest.approx(2 * 32 / 400, rel=0.05)
    assert large[1] == pytest.approx(2 * 128 / 400, rel=0.05)
    assert len(large) < len(small)


def test_several_examples_answer_each_other(segmenter: Segmenter) -> None:
    dark = np.zeros((400, 400, 3), np.uint8)  # what it shows can only be found in the other image
    pairs = [example(lines()), (dark, blob())]
    several = segmenter.scaled(Prompt.from_examples(pairs))
    assert len(several.images) == 2
    assert several.scale is not None
    assert all(image.shape == (3, CANVAS, CANVAS) for image in several.images)


def test_the_choice_is_made_once_and_is_the_same_again(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = Prompt.from_examples([example(dots())])
    calls = []

    def spy(own: Segmenter, asked: Prompt) -> float | None:
        calls.append(choose_scale(own, asked))
        return calls[-1]

    monkeypatch.setattr(segmenter_module, "choose_scale", spy)
    assert segmenter.scaled(prompt) is segmenter.scaled(prompt)
    segmenter.predict([example(dots())[0]] * 2, prompt)
    assert len(calls) == 1
    assert choose_scale(Segmenter(Bright()), prompt) == calls[0]  # type: ignore[arg-type]


def test_what_has_a_scale_stays_as_it_is(segmenter: Segmenter) -> None:
    for given, kept in ((0.3, 0.3), ("whole", None), (None, None)):
        prompt = Prompt.from_examples([example(dots())], scale=given, canvas=CANVAS)  # type: ignore[arg-type]
        assert prompt.scale == kept
        assert segmenter.scaled(prompt) is prompt
        assert prompt.at_scale(0.7, CANVAS) is prompt
    assert segmenter.network.windows == 0


def test_a_chosen_scale_is_as_if_it_had_been_given(segmenter: Segmenter) -> None:
    pairs = [example(dots()), example(lines())]
    for make in (Prompt.from_examples, Prompt.spatial):
        scaled = segmenter.scaled(make(pairs))
        given = make(pairs, scale=scaled.known_scale, canvas=CANVAS)
        assert scaled.scale == given.scale
        assert all(map(torch.equal, scaled.images, given.images))
        assert all(map(torch.equal, scaled.colors, given.colors))


def test_instances_keep_only_the_colors_that_a_window_shows(segmenter: Segmenter) -> None:
    ids = np.zeros((400, 400), np.uint8)
    for number in range(1, 65):
        top, left = 50 * ((number - 1) // 8), 50 * ((number - 1) % 8)
        ids[top + 10 : top + 17, left + 10 : left + 17] = number
    prompt = Prompt.from_instances([(example((ids > 0).astype(np.uint8))[0], ids)], "cell")
    assert len(prompt.palette.classes) == 64
    scaled = segmenter.scaled(prompt)
    assert scaled.scale is not None
    assert len(scaled.palette.classes) < 64


def test_each_prompt_of_a_composition_has_its_scale(segmenter: Segmenter) -> None:
    prompts = [
        Prompt.from_examples([example(blob())], ["blob"]),
        Prompt.from_examples([example(lines())], ["line"], scale=0.5, canvas=CANVAS),
    ]
    result = segmenter.predict(example(blob())[0], Composition(prompts))
    assert result.scales == (None, 0.5)


@pytest.mark.parametrize("size", [400, 1500])
@pytest.mark.parametrize("examples", [1, 6])
def test_the_work_is_bounded(segmenter: Segmenter, size: int, examples: int) -> None:
    choose_scale(segmenter, Prompt.from_examples([example(lines(size))] * examples))
    tokens = segmenter.network.windows * 2 * (CANVAS // PATCH) ** 2
    assert tokens < 1.5 * MAX_TOKENS


def test_a_large_example_is_resized_only_where_it_shows_most(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((1500, 1500), np.uint8)
    mask[900:1000, 300:400] = lines(100)
    seen = []
    cut = prompt_module.crop_most_foreground

    def spy(image: Tensor, *more: object) -> tuple[Tensor, Tensor]:
        seen.append(image[0].numel())
        return cut(image, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(prompt_module, "crop_most_foreground", spy)
    scale = choose_scale(segmenter, Prompt.from_examples([example(mask)]))
    assert scale is not None
    assert scale > 0.3
    assert sum(seen) < 1500**2


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (20, 20)])
def test_images_of_any_size_have_a_scale(segmenter: Segmenter, shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[:, : shape[1] // 2 + 1] = 1
    pair = example(mask)
    assert segmenter.predict(pair[0], Prompt.from_examples([pair])).classes.shape == shape


@pytest.mark.parametrize(("mask", "thick"), [(lines(thick=3), 3), (lines(thick=12), 12)])
def test_thickness_is_in_pixels(mask: np.ndarray, thick: int) -> None:
    assert thickness(torch.from_numpy(mask) > 0) == pytest.approx(thick, abs=2)
