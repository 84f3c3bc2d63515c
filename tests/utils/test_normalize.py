"""Pixel space and the network's space, against numbers by hand."""

import numpy as np
import torch

from prompttune.utils.normalize import MEAN, STD, denormalize, normalize, to_tensor, to_uint8


def test_channels_have_their_own_mean_and_deviation() -> None:
    pixels = torch.full((1, 3, 2, 2), 0.5)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        torch.testing.assert_close(
            normalize(pixels)[0, channel], torch.full((2, 2), (0.5 - mean) / std)
        )
    torch.testing.assert_close(denormalize(normalize(pixels)), pixels)
    assert normalize(pixels.bfloat16()).dtype == torch.bfloat16


def test_pictures_go_there_and_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(to_uint8(to_tensor(image)), image)
    assert to_tensor(image[::-1]).shape == (3, 5, 7), "a view of negative strides"
    clipped = to_uint8(torch.tensor([-1.0, 0.4999, 9.0])[:, None, None])
    assert clipped.ravel().tolist() == [0, 127, 255]
