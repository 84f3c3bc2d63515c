"""Augmentation of training views: a warp for image and labels, light and color of images alone."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.surfaces import remapped, smooth_noise
from prompttune.synthetic.textures import grain

SHRINK = 0.6
"""Below this zoom a view is cut from the smaller copy of its image, or it would alias."""


@dataclass(frozen=True)
class Warp:
    """A turned, scaled, sheared, mirrored and perhaps bent square of an image.

    Coordinates are (column, row) with pixel centers at whole numbers.
    """

    affine: np.ndarray
    """2 x 3, from the label map to the view."""
    size: int
    bend: np.ndarray | None
    """2 x size x size float32: how far each pixel of the view is moved before `affine` is undone;
    None for no bending."""

    @classmethod
    def draw(
        cls,
        rng: Generator,
        shape: tuple[int, ...],
        center: np.ndarray,
        size: int,
        closest: float = 0.35,
    ) -> "Warp":
        """Draw a view whose side is `closest` to 1 of the image's short side, near `center`."""
        extent = min(shape) * rng.uniform(closest, 1.0)
        margin = 0.35 * extent  # little of the view lies outside, where the image is mirrored
        center = center + rng.uniform(-0.35, 0.35, 2) * extent
        center = np.clip(center, margin, np.array(shape[1::-1]) - margin)
        spin, mirror = rng.normal(0, 0.3), rng.choice((-1, 1))
        stretch, shear = np.exp(rng.normal(0, 0.1)), rng.normal(0, 0.1)
        zoom = size / extent
        turn = zoom * np.array(
            ((np.cos(spin) * mirror, -np.sin(spin)), (np.sin(spin) * mirror, np.cos(spin)))
        )
        turn = turn @ np.array(((stretch, shear), (0, 1 / stretch)))
        affine = np.hstack((turn, ((size - 1) / 2 - turn @ center)[:, None]))
        bend = None
        if rng.random() < 0.15:
            strength = np.float32(size * rng.uniform(0.01, 0.06))
            cells = int(rng.integers(1, 4))
            bend = strength * np.stack([smooth_noise(rng, size, cells) for _ in range(2)])
        return cls(affine, size, bend)

    @property
    def zoom(self) -> float:
        """The view's pixels per pixel of the label map, along a side."""
        return float(np.sqrt(abs(np.linalg.det(self.affine[:, :2]))))

    def labels(self, class_map: np.ndarray) -> np.ndarray:
        """Return the view of a label map."""
        return self._apply(class_map, self.affine, np.ones(2), cv2.INTER_NEAREST)

    def image(self, image: np.ndarray, label_shape: tuple[int, ...]) -> np.ndarray:
        """Return the view of an image that may be smaller than its label map."""
        ratio = np.array(image.shape[1::-1]) / label_shape[1::-1]
        # A pixel center p of the map lies at (p + 1/2) ratio - 1/2 in the image.
        affine = self.affine.copy()
        affine[:, :2] = affine[:, :2] / ratio
        affine[:, 2] += affine[:, :2] @ (0.5 * (1 - ratio))
        return self._apply(image, affine, ratio, cv2.INTER_LINEAR)

    def _apply(
        self, values: np.ndarray, affine: np.ndarray, ratio: np.ndarray, how: int
    ) -> np.ndarray:
        side = (self.size, self.size)
        if self.bend is None:
            return np.asarray(
                cv2.warpAffine(values, affine, side, flags=how, borderMode=cv2.BORDER_REFLECT)
            )
        back = cv2.invertAffineTransform(affine).astype(np.float32)
        y, x = np.mgrid[: self.size, : self.size].astype(np.float32) + self.bend[::-1]
        across, down = (row[0] * x + row[1] * y + row[2] for row in back)
        return remapped(values, across, down, how)


def recolor(rng: Generator, images: list[np.ndarray]) -> list[np.ndarray]:
    """Change light and color: strongly and alike for all images, then weakly for each.

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
