"""Scores come back as they were."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from formatting import SCORES, answer
from geotiffs import georeferenced

from prompttune.outputs.formats import write_formats


def test_scores(tmp_path: Path) -> None:
    image = georeferenced(tmp_path / "a.tif")
    write_formats(["scores", "npz"], answer(image), tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out_scores.tif") as file:
        np.testing.assert_array_equal(file.asarray(), SCORES)
        assert file.pages.first.tags[33550].value[:2] == (0.5, 0.5)
    with np.load(tmp_path / "out_scores.npz", allow_pickle=False) as content:
        np.testing.assert_array_equal(content["scores"], SCORES)
        assert content["classes"].tolist() == ["pond", "road"]


def test_scores_are_rasters_to_gdal(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    image = georeferenced(tmp_path / "a.tif")
    write_formats(["scores"], answer(image), tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out_scores.tif") as file:
        np.testing.assert_array_equal(file.read(), SCORES)
        assert file.crs.to_epsg() == 32633
