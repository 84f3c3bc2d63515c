"""A resized kernel sees in a resized patch what the kernel saw in the patch."""

import torch
import torch.nn.functional as F

from prompttune.pretraining.dinov2 import resize_kernel


def test_its_own_size_changes_nothing() -> None:
    kernel = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(resize_kernel(kernel, 8), kernel, atol=1e-4, rtol=1e-4)


def test_smooth_patches_give_nearly_the_same_numbers() -> None:
    random = torch.Generator().manual_seed(0)
    kernel = torch.randn(6, 3, 14, 14, generator=random)
    coarse = torch.randn(200, 3, 4, 4, generator=random)
    patches = F.interpolate(coarse, size=(14, 14), mode="bicubic")
    seen = patches.flatten(1) @ kernel.flatten(1).T
    for side in (8, 16):
        small = F.interpolate(patches, size=(side, side), mode="bilinear", antialias=True)
        again = small.flatten(1) @ resize_kernel(kernel, side).flatten(1).T
        naive = F.interpolate(kernel, size=(side, side), mode="bilinear") * (14 / side) ** 2
        error = (again - seen).square().mean() / seen.square().mean()
        worse = (small.flatten(1) @ naive.flatten(1).T - seen).square().mean()
        assert error < 0.02
        assert error < worse / seen.square().mean()
