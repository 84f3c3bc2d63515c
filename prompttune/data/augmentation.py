"""Augmentation of training crops: the only file that knows albumentations."""

import math
import os

import cv2
import numpy as np

_ROTATION = 15  # degrees
_SCALES = (0.9, 1.1)


class Augmentation:
    """Flips, turns, rescales and recolours crops, as the seed of the call alone decides.

    Geometry (flips, quarter turns, rotation, scale) moves image and class map alike, the map by
    nearest neighbour; brightness, contrast, gamma, colour, blur and noise change the image alone.
    Importing albumentations takes most of a second, so only who augments pays for it.

    Attributes:
        margin: pixels that a crop needs around it, since rotation and scaling bring them in.
    """

    def __init__(self, canvas: int) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it calls home on import
        import albumentations as A

        turned = math.cos(math.radians(_ROTATION)) + math.sin(math.radians(_ROTATION))
        self.margin = math.ceil(canvas / 2 * (turned / _SCALES[0] - 1)) + 1
        geometry = [
            A.D4(p=1),
            A.Affine(
                rotate=(-_ROTATION, _ROTATION),
                scale=_SCALES,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.7,
            ),
            A.CenterCrop(canvas, canvas),
        ]
        blur = A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 0.9))
        colours = [
            A.RandomBrightnessContrast(0.2, 0.2, p=0.7),
            A.RandomGamma((75, 130), p=0.5),
            A.RGBShift(15, 15, 15, p=0.5),
            A.OneOf([blur, A.GaussNoise(std_range=(0.005, 0.025))], p=0.4),
        ]
        self._compose = A.Compose(geometry + colours)

    def __call__(
        self, image: np.ndarray, class_map: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augment a crop with `margin` around it, and cut it to the canvas.

        Args:
            image: `H x W x 3 uint8`, H = W = canvas + 2 * margin.
            class_map: `H x W uint8`.
            seed: 0 to 2^32 - 1.
        """
        self._compose.set_random_seed(seed)
        augmented = self._compose(image=image, mask=class_map)
        return augmented["image"], augmented["mask"]
