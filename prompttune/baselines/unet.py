"""A U-Net trained from scratch: what most would train on labelled images."""

from torch import nn

from prompttune.utils.errors import InputError

CROP = 128
"""Pixels; a U-Net is free to see more at once than the backbone's canvas."""


def unet(classes: int) -> nn.Module:
    """Return MONAI's residual U-Net (1.6 M parameters), normalised pixels to `classes + 1` logits.

    Channels as in MONAI's own 2D segmentation tutorials, doubled; crops' sides divide by 16.

    Raises:
        InputError: MONAI is not installed.
    """
    try:
        from monai.networks.nets import UNet  # type: ignore[attr-defined]
    except ImportError as error:
        raise InputError(
            "the row unet needs MONAI; pip install 'prompttune[rivals]', or leave it out of --rows"
        ) from error
    network: nn.Module = UNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=classes + 1,
        channels=(32, 64, 128, 256),
        strides=(2, 2, 2),
        num_res_units=2,
    )
    return network
