"""An image that says where each pixel lies."""

import numpy as np


def ramp(height: int, width: int) -> np.ndarray:
    """An image that says where each pixel lies: red is the column, green the row."""
    image = np.zeros((height, width, 3), np.float32)
    image[..., 0] = np.arange(width) / width
    image[..., 1] = np.arange(height)[:, None] / height
    return image
