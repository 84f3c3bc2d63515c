"""Rasters by rows."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from predicting import backbone as backbone
from rasterio.transform import Affine

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 53, 3), np.uint8)


PIXELS[0, 0], PIXELS[0, 1] = 0, 255


PLACE = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 4e5, 0, -0.5, 58e5)}


def prompt(scale: float | None, seed: int = 3, *classes: str) -> Prompt:
    random = torch.Generator().manual_seed(seed)
    image, colors = torch.rand(2, 3, 16, 16, generator=random)
    return Prompt((image,), (colors,), Palette.of(classes or ("a", "b")), scale=scale)


def raster(path: Path, pixels: np.ndarray = PIXELS, **more: object) -> Path:
    height, width, bands = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=bands, dtype=pixels.dtype,
        **PLACE, **more,
    ) as file:  # fmt: skip
        file.write(np.moveaxis(pixels, -1, 0))
    return path


@pytest.fixture
def segmenter(backbone: Path) -> Segmenter:
    return Segmenter(backbone)
