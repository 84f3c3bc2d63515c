"""Masks of two and of four values, and as palette images."""

import numpy as np
from PIL import Image

SHAPES = np.random.default_rng(0).integers(0, 2, (12, 18), dtype=np.uint8)


INDICES = np.random.default_rng(1).integers(0, 4, (12, 18), dtype=np.uint8)


def palette_image(indices: np.ndarray) -> Image.Image:
    """Return a mode P image whose palette grays would be read if its indices were not."""
    image = Image.fromarray(indices, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 200, 200, 0, 128, 64, 0] + [7] * 753)
    return image
