"""Between pixel space ([0, 1], RGB) and the network's ImageNet-normalized space."""

import numpy as np
import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalize(pixels: Tensor) -> Tensor:
    """Map `... x 3 x H x W` from pixel space to normalized space, where 1 is about .23 of here."""
    return (pixels - _plane(MEAN, pixels)) / _plane(STD, pixels)


def denormalize(values: Tensor) -> Tensor:
    """Map `... x 3 x H x W` from normalized space back to pixel space, without clipping."""
    return values * _plane(STD, values) + _plane(MEAN, values)


def to_tensor(image: np.ndarray) -> Tensor:
    """Turn an `H x W x 3 uint8` image into `3 x H x W float32` in [0, 1]."""
    return (
        torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1).float() / 255
    )


def to_uint8(pixels: Tensor) -> np.ndarray:
    """Turn `3 x H x W` in pixel space into `H x W x 3 uint8`, clipping what leaves [0, 1]."""
    clipped = pixels.detach().float().clamp(0, 1) * 255
    return clipped.round().byte().permute(1, 2, 0).cpu().numpy()


def _plane(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
