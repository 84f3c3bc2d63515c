"""Light and colour of training views: photometric augmentation, of images alone."""

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.textures import grain


def recolour(rng: Generator, images: list[np.ndarray]) -> list[np.ndarray]:
    """Change light and colour: strongly and alike for all images, then weakly for each.

    Images are `H x W x 3 float32` in [0, 1], as are those returned.
    """
    mixing = np.eye(3, dtype=np.float32)
    if rng.random() < 0.4:
        mixing = mixing[rng.permutation(3)] + rng.normal(0, 0.2, (3, 3)).astype(np.float32)
    if rng.random() < 0.15:
        mixing = np.full((3, 3), 1 / 3, np.float32)
    invert = rng.random() < 0.2
    return [_relight(rng, image, mixing, invert) for image in images]


def _relight(rng: Generator, image: np.ndarray, mixing: np.ndarray, invert: bool) -> np.ndarray:
    gain = (rng.normal(1, 0.12, 3) * rng.normal(1, 0.1)).astype(np.float32)
    shift = rng.normal(0, 0.05, 3).astype(np.float32)
    matrix = gain[:, None] * mixing
    if invert:  # gain * mixing * (1 - image)
        matrix, shift = -matrix, shift + matrix.sum(1)
    light = np.asarray(cv2.transform(image, np.hstack((matrix, shift[:, None]))))
    if rng.random() < 0.2:
        light = np.asarray(cv2.GaussianBlur(light, (5, 5), rng.uniform(0.4, 1.2)))
    if rng.random() < 0.3:
        light = light + np.float32(rng.uniform(0, 0.06)) * grain(rng, *light.shape)
    return np.clip(light, 0, 1)
