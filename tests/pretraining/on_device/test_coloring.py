"""Blur is OpenCV's; colors keep apart."""

import cv2
import numpy as np
import torch
from scene_items import layered as layered

from prompttune.pretraining.on_device.coloring import _blur, random_colors
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.painting import first_apart


def test_blur_is_that_of_opencv():
    images = torch.rand(3, 3, 17, 17, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.5, 0.8, 1.1])
    for image, width, blurred in zip(images, sigma, _blur(images, sigma), strict=True):
        expected = cv2.GaussianBlur(
            image.permute(1, 2, 0).numpy(), (5, 5), float(width), borderType=cv2.BORDER_REPLICATE
        )
        np.testing.assert_allclose(blurred.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_colors_keep_apart():
    colors = random_colors(Draws.of(0, torch.arange(500)), 9, 0.3)
    apart = torch.cdist(colors, colors) + 9 * torch.eye(10)
    assert apart.min() > 0.3
    assert not colors[:, 0].any()
    offered = torch.tensor([[[0.5, 0.5, 0.6], [0.1, 0.5, 0.5], [0.9, 0.5, 0.5]]])
    gray = torch.full((1, 3), 0.5)
    assert first_apart(offered, [gray], torch.tensor([0.3])).tolist() == [offered[0, 1].tolist()]
    most = first_apart(offered, [gray, offered[:, 1]], torch.tensor([0.9]))
    assert most.tolist() == [offered[0, 2].tolist()]
