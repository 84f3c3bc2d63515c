"""Rasters by windows: the same answer as at once, in place, without what holds nothing."""

import functools
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from predicting import backbone as backbone
from raster_rows import PIXELS, PLACE, prompt, raster
from raster_rows import segmenter as segmenter

from prompttune.data import huge_images
from prompttune.data.reading import ImageOptions, read_picture
from prompttune.inference import rasters
from prompttune.inference.rasters import RasterRows, segment_raster
from prompttune.inference.segmenter import Segmenter
from prompttune.utils.errors import InputError


def test_the_place_and_what_holds_nothing(tmp_path: Path, segmenter: Segmenter) -> None:
    pixels = np.maximum(PIXELS, 1)
    pixels[:40, :30] = 0
    path = raster(tmp_path / "a.tif", pixels, nodata=0)
    counts = segment_raster(segmenter, prompt(1.0), path, tmp_path / "m.tif", ImageOptions())
    with rasterio.open(tmp_path / "m.tif") as file:
        answer = file.read(1)
        assert (file.crs.to_epsg(), file.transform, file.nodata) == (32633, PLACE["transform"], 0)
        assert file.colormap(1)[1][:3] == (255, 255, 255)
    assert not answer[:40, :30].any()
    assert counts == {"a": int((answer == 1).sum()), "b": int((answer == 2).sum())}
    with rasterio.open(tmp_path / "m_overlay.tif") as file:
        assert (file.count, file.crs.to_epsg(), file.shape) == (3, 32633, (70, 53))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "m.tif", "m_overlay.tif"]


def test_windows_without_data_are_not_asked(
    tmp_path: Path, segmenter: Segmenter, monkeypatch
) -> None:
    asked = []
    answer = segmenter.answer
    monkeypatch.setattr(segmenter, "answer", lambda each: (asked.extend(each), answer(each))[1])
    path = raster(tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8), nodata=0)
    segment_raster(segmenter, prompt(1.0), path, tmp_path / "m.tif", ImageOptions())
    assert not asked


def test_one_range_for_a_deep_raster(tmp_path: Path, caplog) -> None:
    deep = np.random.default_rng(1).integers(200, 900, (64, 64, 4)).astype(np.uint16)
    deep[:32] += 300
    rows = RasterRows(raster(tmp_path / "a.tif", deep), ImageOptions((4, 3, 2)))
    low, high = np.percentile(deep[:, :, 1:], (1, 99))
    whole = np.concatenate([rows.read(top, top + 16)[0] for top in range(0, 64, 16)])
    expected = ((deep[:, :, [3, 2, 1]] - low) * 255 / (high - low)).round().clip(0, 255)
    assert np.abs(whole - expected).max() <= 4  # the range comes from a sample
    assert "--stretch sets it" in caplog.text
    given = RasterRows(tmp_path / "a.tif", ImageOptions.of("2", "0,1200")).read(5, 9)[0]
    assert np.abs(given[:, :, 0] - deep[5:9, :, 1] / 1200 * 255).max() <= 1


def test_what_cannot_be(tmp_path: Path, segmenter: Segmenter) -> None:
    path = raster(tmp_path / "a.tif")
    with pytest.raises(InputError, match="sees images whole"):
        segment_raster(segmenter, prompt(None), path, tmp_path / "m.tif", ImageOptions())
    with pytest.raises(InputError, match="has 3 bands"):
        RasterRows(path, ImageOptions((4,)))
    (tmp_path / "b.tif").write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"b\.tif"):
        segment_raster(
            segmenter, prompt(1.0), tmp_path / "b.tif", tmp_path / "m.tif", ImageOptions()
        )
    assert not (tmp_path / "m.tif").exists()
    assert not list(tmp_path.glob(".*"))


def test_over_http(tmp_path: Path, segmenter: Segmenter) -> None:
    big = np.tile(PIXELS, (4, 4, 1))
    raster(tmp_path / "cog.tif", big, tiled=True, blockxsize=64, blockysize=64)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = Path(f"http://127.0.0.1:{server.server_port}/cog.tif")
        assert rasters.is_large(url)
        rows = RasterRows(url, ImageOptions())
        np.testing.assert_array_equal(rows.read(100, 130)[0], big[100:130])
        rows.close()
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves ranges of bytes, as object stores do."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path))
        if not content.is_file():
            self.send_error(404)
            return
        whole = content.read_bytes()
        asked = self.headers.get("Range", f"bytes=0-{len(whole) - 1}").removeprefix("bytes=")
        first, last = asked.split("-")
        part = whole[int(first) : int(last or len(whole)) + 1]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header(
            "Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}"
        )
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_huge_png_or_jpeg_answers_as_if_it_were_decoded_whole(
    tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    Image.fromarray(PIXELS).save(path)
    read = read_picture(path).pixels
    whole = segmenter.predict(read, prompt(1.0)).classes
    monkeypatch.setattr(huge_images, "MAX_PIXELS", 1000)
    monkeypatch.setattr(huge_images, "MIN_BYTES", 10)
    assert rasters.is_large(path)
    segment_raster(segmenter, prompt(1.0), path, tmp_path / "m.tif", ImageOptions())
    with rasterio.open(tmp_path / "m.tif") as file:
        assert (file.read(1) == whole).mean() > 0.999
