"""Image and labels move together."""

import cv2
import numpy as np
import pytest
from ramps import ramp

from prompttune.pretraining.transforms import Warp, recolor


@pytest.mark.parametrize("half_size", [False, True])
def test_image_and_labels_move_together(half_size: bool) -> None:
    """Labels that are a function of the image's color still are, to a pixel, in every view."""
    large = ramp(120, 160)
    class_map = (((large[..., 0] * 8).astype(int) + (large[..., 1] * 6).astype(int)) % 3).astype(
        np.uint8
    )
    shown = cv2.resize(large, (80, 60), interpolation=cv2.INTER_AREA) if half_size else large
    rng = np.random.default_rng(0)
    bent = 0
    for _ in range(40):
        warp = Warp.draw(rng, class_map.shape, np.array((80, 60)), 48)
        bent += warp.bend is not None
        pixels, labels = warp.image(shown, class_map.shape), warp.labels(class_map)
        column, row = pixels[..., 0] * 8, pixels[..., 1] * 6
        expected = (column.astype(int) + row.astype(int)) % 3
        step = 48 / warp.size * 0.12  # half a pixel of the small image near a border of classes
        clear = (np.abs(column - np.round(column)) > step) & (np.abs(row - np.round(row)) > step)
        assert clear.mean() > 0.4
        assert (expected == labels)[clear].mean() > 0.995
    assert bent > 0


def test_light_is_clipped_and_alike_for_both_images() -> None:
    image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    for seed in range(20):
        first, second = recolor(np.random.default_rng(seed), [image, image])
        assert first.dtype == np.float32
        assert 0 <= first.min() <= first.max() <= 1
        assert not np.array_equal(first, second)


def test_inverted_light_is_the_mixture_of_the_inverse() -> None:
    """The one matrix of the fast way equals the steps one by one."""
    from prompttune.pretraining import transforms as light

    image = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    mixing = np.random.default_rng(1).normal(0, 0.3, (3, 3)).astype(np.float32)

    class Plain:  # no blur, no noise
        def __init__(self) -> None:
            self.rng = np.random.default_rng(5)

        def normal(self, *args):
            return self.rng.normal(*args)

        def random(self) -> float:
            return 0.9

    gain_of = np.random.default_rng(5)
    gain = gain_of.normal(1, 0.12, 3) * gain_of.normal(1, 0.1)
    shift = gain_of.normal(0, 0.05, 3)
    for invert in (False, True):
        expected = ((1 - image if invert else image) @ mixing.T) * gain + shift
        got = light._relight(Plain(), image, mixing, invert)
        np.testing.assert_allclose(got, np.clip(expected, 0, 1), atol=1e-5)
