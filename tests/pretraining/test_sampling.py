"""Views show what they were cut around."""

import numpy as np
from ramps import ramp

from prompttune.pretraining.sampling import crop
from prompttune.pretraining.sources.pool import Labels


def test_a_view_shows_what_it_was_cut_around() -> None:
    class_map = np.zeros((100, 150), np.uint8)
    class_map[:6, :6] = 3  # in a corner
    labels = Labels.of(class_map)
    image = (ramp(100, 150) * 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    seen = [
        (crop(rng, (image,), class_map, labels.anchors[3], 32)[1] == 3).any() for _ in range(50)
    ]
    assert np.mean(seen) > 0.8
