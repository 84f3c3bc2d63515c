"""Image and labels move together."""

import cv2
import numpy as np
import pytest
from ramps import ramp

from prompttune.pretraining.geometric import Warp


@pytest.mark.parametrize("half_size", [False, True])
def test_image_and_labels_move_together(half_size: bool) -> None:
    """Labels that are a function of the image's colour still are, to a pixel, in every view."""
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
