"""Whole-slide images by windows: the same answer as their pixels at once."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from predicting import backbone as backbone
from raster_rows import prompt
from raster_rows import segmenter as segmenter

from prompttune.data.reading import ImageOptions, read_image
from prompttune.inference.rasters import is_large, score_strips, segment_raster
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.slides import SlideRows
from prompttune.utils.errors import InputError

pytest.importorskip("tiffslide", reason="the extra slides is not here")
PIXELS = np.random.default_rng(0).integers(0, 256, (170, 153, 3), np.uint8)
ABOUT = "Aperio Image Library v11.2.1\n{1}x{0} [0,0 {1}x{0}] (64x64)|AppMag = 20|MPP = 0.4990"


def slide(path: Path) -> Path:
    """Write a slide of two resolutions, tiled, as Aperio describes them."""
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for each in (PIXELS, PIXELS[::4, ::4]):
            file.write(
                each, tile=(64, 64), photometric="rgb", compression="deflate", metadata=None,
                description=ABOUT.format(*each.shape),
            )  # fmt: skip
    return path


def test_the_answer_is_that_of_its_pixels(tmp_path: Path, segmenter: Segmenter) -> None:
    path = slide(tmp_path / "a.svs")
    assert is_large(path)
    rows = SlideRows(path, ImageOptions())
    strips = score_strips(segmenter, prompt(0.5), rows)
    scores = np.concatenate([each.numpy() for _, each in strips], 1)
    rows.close()
    whole = segmenter.predict(PIXELS, prompt(0.5)).scores
    assert len(np.unique(whole)) > 100
    assert np.allclose(scores, whole, atol=1e-4)
    counts = segment_raster(segmenter, prompt(0.5), path, tmp_path / "m.tif", ImageOptions())
    answer = tifffile.imread(tmp_path / "m.tif")
    assert answer.shape == PIXELS.shape[:2]
    assert counts == {"a": int((answer == 1).sum()), "b": int((answer == 2).sum())}
    assert (tmp_path / "m_overlay.tif").is_file()


def test_rows_are_the_full_resolution(tmp_path: Path) -> None:
    rows = SlideRows(slide(tmp_path / "a.svs"), ImageOptions())
    assert (rows.height, rows.width) == PIXELS.shape[:2]
    assert np.array_equal(rows.read(30, 99)[0], PIXELS[30:99])
    rows.close()


def test_what_is_no_slide(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "b.svs").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"b\.svs: is no whole-slide image"):
        SlideRows(tmp_path / "b.svs", ImageOptions())
    with pytest.raises(InputError, match="no such file"):
        SlideRows(tmp_path / "c.svs", ImageOptions())
    with pytest.raises(InputError, match="reads by windows"):
        read_image(slide(tmp_path / "d.svs"))
