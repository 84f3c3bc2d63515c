"""Light changes the image alone."""

import numpy as np

from prompttune.pretraining.photometric import recolour


def test_light_is_clipped_and_alike_for_both_images() -> None:
    image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    for seed in range(20):
        first, second = recolour(np.random.default_rng(seed), [image, image])
        assert first.dtype == np.float32
        assert 0 <= first.min() <= first.max() <= 1
        assert not np.array_equal(first, second)


def test_inverted_light_is_the_mixture_of_the_inverse() -> None:
    """The one matrix of the fast way equals the steps one by one."""
    from prompttune.pretraining import photometric as light

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
