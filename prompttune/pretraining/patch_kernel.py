"""The kernel that embeds patches, for patches of another size."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_kernel(kernel: Tensor, patch: int) -> Tensor:
    """Resize a patch kernel so that a resized patch gives as nearly as can be what the patch gave.

    Of all kernels W', this one has the least expected squared error of W' B x against W x, where B
    resizes a patch x (FlexiViT, Beyer et al., arXiv 2212.08013). FlexiViT takes x for white noise,
    which makes W' = W B^+. Here neighboring pixels are alike, as in photos: C holds correlations
    that fall with the distance, exp(-distance / p), and W' = W C B^T (B C B^T)^+.

    Args:
        kernel: `dim x 3 x p x p`.
        patch: The new side, pixels.

    Returns:
        `dim x 3 x patch x patch`, fp32.
    """
    old = kernel.shape[-1]
    pixels = torch.eye(old * old, dtype=torch.float64).unflatten(1, (1, old, old))
    resize = F.interpolate(pixels, size=(patch, patch), mode="bilinear", antialias=True)
    resize = resize.flatten(1).T
    line = torch.arange(old, dtype=torch.float64)
    places = torch.cartesian_prod(line, line)
    alike = torch.exp(-torch.cdist(places, places) / old)
    inverse = torch.linalg.pinv(resize @ alike @ resize.T, hermitian=True)
    resized = kernel.flatten(2).double() @ alike @ resize.T @ inverse
    return resized.float().unflatten(-1, (patch, patch))
