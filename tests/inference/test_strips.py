"""By rows it is what it is at once."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from predicting import backbone as backbone
from raster_rows import PIXELS, prompt, raster
from raster_rows import segmenter as segmenter

from prompttune.data.reading import ImageOptions
from prompttune.inference import rasters
from prompttune.inference.rasters import RasterRows, score_strips, segment_raster
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.37, 1.6])
@pytest.mark.parametrize("flips", [False, True])
def test_by_rows_it_is_what_it_is_at_once(
    tmp_path: Path, segmenter: Segmenter, monkeypatch, scale: float, flips: bool
) -> None:
    monkeypatch.setattr(rasters, "STEP", 11)
    asked = prompt(scale)
    rows = RasterRows(raster(tmp_path / "a.tif"), ImageOptions())
    found = torch.cat([s for _, s in score_strips(segmenter, asked, rows, 0.25, flips)], 1)
    expected = segmenter.predict(PIXELS, asked, flips=flips).scores
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-4)


def test_a_composition(tmp_path: Path, segmenter: Segmenter, monkeypatch) -> None:
    monkeypatch.setattr(rasters, "STEP", 11)
    both = Composition([prompt(1.0, 3, "a"), prompt(0.5, 4, "b")])
    segment_raster(segmenter, both, raster(tmp_path / "a.tif"), tmp_path / "m.tif", ImageOptions())
    with rasterio.open(tmp_path / "m.tif") as file:
        differing = file.read(1) != segmenter.predict(PIXELS, both).classes
    assert differing.mean() < 0.01
