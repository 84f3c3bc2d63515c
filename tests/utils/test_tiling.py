"""Windows, mirrored borders, blending; compared with MONAI, numpy and Pillow."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prompttune.utils.tiling import (
    Blend,
    pad_reflect,
    resize,
    resize_nearest,
    resize_scores,
    scaled_size,
    spread,
    window_weights,
    windows,
)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def blended(
    pixels: Tensor, size: int, overlap: float, answer: Callable[[Tensor], Tensor]
) -> Tensor:
    blend = Blend(*pixels.shape[-2:], size, overlap)
    for top, left in blend.places:
        blend.add((top, left), answer(pixels[:, top : top + size, left : left + size]))
    return blend.result()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 40), (48, 31), (100, 23)])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.9])
def test_windows_cover_everything_and_overlap_as_asked(
    height: int, width: int, overlap: float
) -> None:
    places = windows(height, width, 16, overlap)
    assert len(set(places)) == len(places)
    covered = np.zeros((height, width), int)
    for top, left in places:
        assert 0 <= top <= height - 16
        assert 0 <= left <= width - 16
        covered[top : top + 16, left : left + 16] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = np.unique([place[axis] for place in places])
        assert np.all(np.diff(starts) <= np.ceil(16 * (1 - overlap)))


def test_the_least_number_of_windows_is_taken() -> None:
    assert windows(16, 16, 16, 0.5) == [(0, 0)]
    assert windows(16, 32, 16, 0) == [(0, 0), (0, 16)]
    assert windows(16, 33, 16, 0) == [(0, 0), (0, 16), (0, 17)]
    assert windows(24, 28, 16, 0.25) == [(0, 0), (0, 12), (8, 0), (8, 12)]


@pytest.mark.parametrize(("height", "width"), [(24, 24), (31, 60), (57, 24)])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_blend_agrees_with_monai(height: int, width: int, overlap: float) -> None:
    from monai.inferers import sliding_window_inference  # seconds: only where it is needed

    position = noise(2, 24, 24)  # an answer that differs between windows

    def answer(window: Tensor) -> Tensor:
        return window[..., :2, :, :] * position + window.mean()

    pixels = noise(3, height, width)
    expected = sliding_window_inference(
        pixels[None], 24, 1, answer, overlap=overlap, mode="gaussian", sigma_scale=0.125
    )[0]
    torch.testing.assert_close(blended(pixels, 24, overlap, answer), expected)


def test_some_windows_lie_evenly() -> None:
    assert spread(windows(16, 16, 16, 0.25), 2) == {0}
    assert spread(windows(32, 32, 16, 0.5), 2) == {0, 2, 6, 8}  # the four that cover all
    assert spread(windows(16, 96, 16, 0), 2) == {1, 4}
    rows, columns = divmod(np.array(sorted(spread(windows(80, 128, 16, 0), 2))), 8)
    assert sorted(set(rows)) == [1, 3]
    assert sorted(set(columns)) == [2, 6]


def test_weights_are_highest_in_the_middle_and_never_zero() -> None:
    weights = window_weights(32)
    assert weights.min() >= 1e-3
    assert divmod(weights.argmax().item(), 32) in {(15, 15), (15, 16), (16, 15), (16, 16)}
    torch.testing.assert_close(weights, weights.flip(0, 1))


def test_answers_that_agree_are_blended_to_themselves() -> None:
    pixels = noise(2, 50, 37)
    torch.testing.assert_close(blended(pixels, 16, 0.25, lambda window: window), pixels)


def test_blend_refuses_to_end_early() -> None:
    blend = Blend(20, 16, 16, 0)
    blend.add((0, 0), torch.ones(1, 16, 16))
    with pytest.raises(RuntimeError, match="1 windows"):
        blend.result()


@pytest.mark.parametrize("shape", [(5, 7), (1, 3), (40, 6), (2, 2), (20, 20)])
def test_pad_reflect_agrees_with_numpy(shape: tuple[int, int]) -> None:
    pixels = noise(3, *shape)
    padded, (top, left) = pad_reflect(pixels, 20)
    assert min(padded.shape[-2:]) >= 20
    assert padded[:, top : top + shape[0], left : left + shape[1]].equal(pixels)
    missing = [max(0, 20 - side) for side in shape]
    widths = [(0, 0), *((m // 2, m - m // 2) for m in missing)]
    assert np.array_equal(padded.numpy(), np.pad(pixels.numpy(), widths, mode="reflect"))


@pytest.mark.parametrize("size", [(20, 30), (7, 9), (40, 13)])
def test_resize_agrees_with_pillow(size: tuple[int, int]) -> None:
    plane = noise(24, 18)
    expected = Image.fromarray(plane.numpy()).resize(size[::-1], Image.Resampling.BICUBIC)
    resized = resize(plane[None], size)[0]
    inside = torch.from_numpy(np.array(expected)).clamp(plane.min(), plane.max())
    torch.testing.assert_close(resized, inside, atol=1e-5, rtol=0)


def test_resize_does_not_overshoot_but_keeps_the_range_of_learned_pixels() -> None:
    step = torch.zeros(3, 8, 8)
    step[:, :, 4:] = 3
    resized = resize(step, (32, 32))
    assert (resized.min(), resized.max()) == (0, 3)


# Sizes at which no new pixel's center falls between two old pixels, where either would be right.
@pytest.mark.parametrize("size", [(32, 30), (8, 10), (48, 36), (24, 18)])
def test_resize_nearest_agrees_with_pillow(size: tuple[int, int]) -> None:
    values = (noise(24, 18) * 255).byte()
    expected = Image.fromarray(values.numpy()).resize(size[::-1], Image.Resampling.NEAREST)
    assert np.array_equal(resize_nearest(values[None], size)[0].numpy(), np.array(expected))


def test_resize_scores_is_bilinear() -> None:
    scores = noise(1, 8, 8)
    expected = Image.fromarray(scores[0].numpy()).resize((20, 24), Image.Resampling.BILINEAR)
    resized = resize_scores(scores, (24, 20))[0]
    torch.testing.assert_close(resized, torch.from_numpy(np.array(expected)), atol=1e-6, rtol=0)


def test_scaled_size() -> None:
    assert scaled_size(584, 565, 0.5) == (292, 282)
    assert scaled_size(3, 3, 0.01) == (1, 1)
