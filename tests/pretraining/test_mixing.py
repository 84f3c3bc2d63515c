"""Several images under one map."""

import numpy as np
import pytest

from prompttune.pretraining.mixing import mixed_views
from prompttune.pretraining.sampling import SEMANTIC, Context


@pytest.mark.parametrize("contexts", [1, 2])
def test_mixed_samples_show_several_images_under_one_map(contexts: int) -> None:
    """Views of one colour each, whose class is their colour: still so after stitching."""

    def flat(number: int) -> Context:
        def view(rng, half: int, size: int):
            return np.full((size, size, 3), number / 4, np.float32), np.full(
                (size, size), number, np.uint8
            )

        return Context(SEMANTIC, view)

    for seed in range(10):
        halves = mixed_views(np.random.default_rng(seed), [flat(1), flat(2)][:contexts], 32)
        for image, classes in halves:
            assert image.shape == (32, 32, 3)
            assert classes.dtype == np.uint16
            assert set(np.unique(classes)) <= {1, 256 + 2}
            assert (np.abs(image[..., 0] * 4 - classes % 256) < 1e-3).mean() > 0.9
