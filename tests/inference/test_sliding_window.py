"""Batches of several prompts, flips and open images, on a small random SegGPT."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.companion.network import CompanionNetwork
from prompttune.inference import sliding_window as answer
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.sliding_window import (
    ALL_FLIPS,
    UNFLIPPED,
    Question,
    Window,
    answered,
    check_work,
)
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError

CONFIG = SegGPTConfig(
    canvas=16,
    patch=4,
    dim=16,
    depth=4,
    heads=2,
    out_indices=(2, 3),
    decoder_dim=4,
    pretrain_canvas=16,
)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    generator = torch.Generator().manual_seed(0)
    network = SegGPT(CONFIG).requires_grad_(False)
    for name, parameter in network.named_parameters():  # so that answers depend on prompts
        std = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1)
    network.fingerprint = "f" * 64
    return Segmenter(network)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def prompt_of(seed: int, images: int = 1, classes: str = "ab", **fields: object) -> Prompt:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(2, images, 3, 16, 16, generator=generator)
    return Prompt(*map(tuple, pixels), Palette.of(list(classes)), **fields)  # type: ignore[arg-type]


PROMPTS = {
    "keys": [prompt_of(1), prompt_of(2, classes="xyz"), prompt_of(3, threshold=0.2)],
    "kinds": [prompt_of(1, seg_type=1), prompt_of(2), prompt_of(3, scale=1.0)],
    "numbers of images": [prompt_of(1, images=3), prompt_of(2), prompt_of(3, images=3, scale=0.5)],
    "compositions": [
        Composition([prompt_of(1, scale=1.0), prompt_of(2, classes="x")]),
        prompt_of(3),
        Composition([prompt_of(4, images=2, classes="y"), prompt_of(5, seg_type=1)]),
    ],
}


@pytest.mark.parametrize("batch_size", [None, 1, 3])
@pytest.mark.parametrize("kind", PROMPTS)
def test_a_mixed_batch_gives_what_each_prompt_gives_alone(
    segmenter: Segmenter, kind: str, batch_size: int | None
) -> None:
    prompts = [PROMPTS[kind][index] for index in (0, 1, 0, 2, 2, 1)]
    images = [photo(16 + 7 * n, 40 - 5 * n, n) for n in range(6)]
    together = segmenter.predict(images, prompts, batch_size=batch_size)
    for image, prompt, result in zip(images, prompts, together, strict=True):
        alone = segmenter.predict(image, prompt)
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-5)
        assert (result.classes != alone.classes).mean() < 0.01
        assert result.scores.shape == (len(prompt.palette.classes), *image.shape[:2])


def test_the_prompts_of_these_tests_are_told_apart(segmenter: Segmenter) -> None:
    image = photo(16, 16)
    answers = [segmenter.predict(image, prompt_of(seed)).scores for seed in (1, 2)]
    answers.append(segmenter.predict(image, prompt_of(1, seg_type=1)).scores)
    for index in range(3):
        assert np.abs(answers[index] - answers[index - 1]).max() > 0.01


def test_prompts_of_equally_many_images_share_batches(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    ensemble = SegGPT.ensemble

    def spy(self: SegGPT, queries: torch.Tensor, prompt: object) -> torch.Tensor:
        sizes.append(len(queries))
        return ensemble(self, queries, prompt)  # type: ignore[arg-type]

    monkeypatch.setattr(SegGPT, "ensemble", spy)
    one, two, three = PROMPTS["numbers of images"][1], prompt_of(8), prompt_of(9, images=3)
    segmenter.predict([photo(16, 16)] * 6, [one, three, two, three, one, two])
    assert sorted(sizes) == [2, 4]


def test_a_composition_has_its_parts_scores_side_by_side(segmenter: Segmenter) -> None:
    parts = [prompt_of(1, scale=1.5), prompt_of(2, images=3, classes="x"), prompt_of(3, scale=1.0)]
    parts[2] = prompt_of(3, scale=1.0, classes="yz", threshold=0.3)
    image = photo(30, 22)
    result = segmenter.predict(image, Composition(parts))
    alone = [segmenter.predict(image, part) for part in parts]
    expected = np.concatenate([each.scores for each in alone])
    np.testing.assert_allclose(result.scores, expected, atol=1e-5)
    speaks = [each.classes > 0 for each in alone]
    assert not result.classes[~np.any(speaks, axis=0)].any()
    assert (result.classes[np.any(speaks, axis=0)] > 0).all()


@pytest.mark.parametrize("scale", [None, 1.0])
def test_flips_are_averaged(segmenter: Segmenter, scale: float | None) -> None:
    image, prompt = photo(16, 16), prompt_of(1, scale=scale)
    mirrored = []
    for flip in ((), (1,), (0,), (0, 1)):
        scores = segmenter.predict(np.flip(image, flip).copy(), prompt).scores
        mirrored.append(np.flip(scores, [axis + 1 for axis in flip]))
    result = segmenter.predict(image, prompt, flips=True)
    np.testing.assert_allclose(result.scores, np.mean(mirrored, axis=0), atol=1e-5)
    assert np.abs(mirrored[0] - result.scores).max() > 0.01


def test_answers_at_several_zooms_are_averaged(segmenter: Segmenter) -> None:
    image, prompt = photo(40, 33), prompt_of(1, scale=1.0)
    zooms = (0.75, 1.0, 1.5)
    each = [
        segmenter.predict(image, prompt_of(1, scale=zoom)).scores for zoom in zooms
    ]  # a prompt of images at the canvas' own size is the same at any scale
    result = segmenter.predict(image, prompt, zooms=zooms)
    np.testing.assert_allclose(result.scores, np.mean(each, axis=0), atol=1e-5)
    assert np.abs(each[1] - result.scores).max() > 0.01


def test_an_image_that_is_seen_whole_has_no_zooms(segmenter: Segmenter) -> None:
    image, prompt = photo(40, 33), prompt_of(1, scale=None)
    once = segmenter.predict(image, prompt).scores
    assert np.array_equal(segmenter.predict(image, prompt, zooms=(0.5, 2.0)).scores, once)


def test_windows_of_a_companion_lie_closer_in_place_of_zooms(segmenter: Segmenter) -> None:
    torch.manual_seed(0)
    companion = CompanionNetwork(1, (4, 8)).eval().folded(0.5)
    prompt = prompt_of(1, classes="a", scale=1.0, companion=companion)
    image = photo(40, 52)
    found = segmenter.predict(image, prompt, zooms=(0.5, 1.0, 2.0)).scores
    assert np.array_equal(found, segmenter.predict(image, prompt, overlap=0.5).scores)
    assert not np.array_equal(found, segmenter.predict(image, prompt).scores)
    one = segmenter.predict(image, prompt, zooms=(0.5,)).scores
    half = segmenter.predict(image, replace(prompt, scale=0.5)).scores
    assert np.array_equal(one, half)


def test_zooms_out_of_bounds(segmenter: Segmenter) -> None:
    with pytest.raises(InputError, match="zoom 5"):
        segmenter.predict(photo(16, 16), prompt_of(1, scale=1.0), zooms=(1, 5))


def test_flipped_windows_of_a_large_image_are_blended(segmenter: Segmenter) -> None:
    image, prompt = photo(33, 21), prompt_of(1, scale=1.0)
    result = segmenter.predict(image, prompt, flips=True, overlap=0.5)
    flipped = segmenter.predict(image[:, ::-1].copy(), prompt, flips=True, overlap=0.5)
    assert result.scores.shape == (2, 33, 21)
    # The windows of 21 columns at 16 lie mirror-symmetrically, so the answer is symmetric too.
    np.testing.assert_allclose(result.scores, flipped.scores[:, :, ::-1], atol=1e-5)


def test_a_function_may_choose_the_prompt_of_an_image(segmenter: Segmenter) -> None:
    dark, bright = prompt_of(1), prompt_of(2, images=2)
    images = [photo(16, 20, n) // (2 if n % 2 else 1) for n in range(4)]
    chosen = segmenter.predict(images, lambda image: bright if image.mean() > 100 else dark)
    expected = segmenter.predict(images, [bright, dark, bright, dark])
    for one, other in zip(chosen, expected, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def test_few_images_are_open_while_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, batches = [0], []
    rare, common = prompt_of(1, images=3), prompt_of(2)

    def questions() -> Iterator[Question]:
        for number in range(50):
            taken[0] += 1
            yield Question(photo(16, 16), common if number else rare, 16, 0.0)

    def run(windows: list[Window]) -> None:
        batches.append(len(windows))
        for window in windows:
            window.add(torch.zeros(2, 16, 16))

    results = answered(questions(), run, lambda images, canvas: 4)
    next(results)
    assert taken[0] == 9, "the first waits for others of its kind no longer than two batches"
    assert sum(1 for _ in results) == 49
    monkeypatch.setattr(answer, "MAX_OPEN_PIXELS", 600)
    batches.clear()
    assert len(list(answered(questions(), run, lambda images, canvas: 4))) == 50
    assert max(batches) == 3, "three images of 256 pixels are more than 600"


def test_work_is_bounded_before_it_is_spent() -> None:
    def prompt(images: int, scale: float | None, classes: int = 1, canvas: int = 128) -> Prompt:
        planes = (torch.zeros(3, 4, 4),) * images
        names = [f"c{n}" for n in range(classes)]
        return Prompt(planes, planes, Palette.of(names), scale=scale, canvas=canvas, name="key")

    def refused(asked: Prompt | Composition, size: tuple[int, int], overlap: float = 0.25) -> str:
        with pytest.raises(InputError) as caught:
            check_work(asked, size, 128, overlap, UNFLIPPED)
        return str(caught.value)

    check_work(prompt(64, 1.0), (9999, 10_000), 128, 0.25, ALL_FLIPS)
    check_work(prompt(1, None), (9999, 10_000), 128, 0.25, ALL_FLIPS)
    check_work(prompt(1, 1.0, classes=150), (1000, 1000), 128, 0.9, UNFLIPPED)
    assert "at its scale the image has 400000000 pixels" in refused(prompt(1, 20.0), (1000, 1000))
    # A thin image is mirrored to the width of a canvas.
    assert "at its scale the image has 1280000000" in refused(prompt(1, 1.0), (1, 10_000_000))
    assert "150 classes at 60000000 pixels" in refused(prompt(1, 1.0, 150), (5000, 6000))
    assert "pixels of work" in refused(prompt(100, 1.0), (9999, 10_000), overlap=0.9)
    # Prompts of one scale share an image; those of several have each their own.
    parts = [replace(prompt(1, 1.0), palette=Palette.of([f"x{n}"])) for n in range(3)]
    check_work(Composition(parts), (8000, 8000), 128, 0.25, UNFLIPPED)
    apart = [replace(part, scale=1 + n / 100) for n, part in enumerate(parts)]
    assert "at its scale" in refused(Composition(apart), (8000, 8000))


def test_parts_of_one_scale_share_the_pixels() -> None:
    planes = (torch.zeros(3, 4, 4),)
    parts = [Prompt(planes, planes, Palette.of([name]), scale=0.5) for name in "ab"]
    composed = Composition([*parts, replace(parts[0], palette=Palette.of(["c"]), scale=1.0)])
    question = Question(np.zeros((40, 30, 3), np.uint8), composed, 16, 0.25)
    one, same, other = (part.pixels for part in question.parts)
    assert one is same
    assert other.shape == (3, 40, 30)
