"""A large GeoTIFF by windows, beside rasterio's bare read and the network's own forward pass.

    OMP_NUM_THREADS=1 python -m benchmarks.rasters --side 30000 --scale 0.25

The raster is generated: tiled, deflated, three bands of 8 bits. Ours reads, segments and writes it
by windows. The forward pass sees as many windows in batches of the same size, and nothing else; it
runs in two halves, before and after ours. Times are processor seconds of all threads, which other
use of the machine changes little.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from prompttune.data.reading import ImageOptions
from prompttune.inference.rasters import segment_raster
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.normalize import normalize
from prompttune.utils.tiling import scaled_size, windows

BLOCK = 512


def write_raster(path: Path, width: int, height: int) -> None:
    """Write a raster that deflates as photos do, about 2 : 1."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 16, (3, BLOCK, 2 * BLOCK), np.uint8) + np.uint8(100)
    band = np.tile(tile, (1, 1, -(-width // tile.shape[2])))[:, :, :width]
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", tiled=True,
        blockxsize=BLOCK, blockysize=BLOCK, compress="deflate", zlevel=1, bigtiff="IF_SAFER",
        crs="EPSG:32633", transform=rasterio.transform.Affine(0.5, 0, 4e5, 0, -0.5, 58e5),
    ) as file:  # fmt: skip
        for top in range(0, height, BLOCK):
            rows = min(BLOCK, height - top)
            file.write(band[:, :rows], window=Window(0, top, width, rows))


def bare_read(path: Path) -> float:
    """Return the processor seconds that reading all of it takes, row of blocks by row of blocks."""
    began = time.process_time()
    with rasterio.open(path) as file:
        for top in range(0, file.height, BLOCK):
            file.read(window=Window(0, top, file.width, min(BLOCK, file.height - top)))
    return time.process_time() - began


def forward(segmenter: Segmenter, prompt: Prompt, count: int) -> float:
    """Return the processor seconds of the network alone for so many windows."""
    canvas, batch = segmenter.canvas(prompt), segmenter.batch_size(1)
    segmenter.check(prompt)
    encoded = segmenter.encode(prompt)
    queries = torch.rand(batch, 3, canvas, canvas)
    began = time.process_time()
    with segmenter.computing():
        for start in range(0, count, batch):
            given = normalize(queries[: count - start].to(segmenter.device))
            segmenter.at(canvas).ensemble(given, encoded).float().cpu()
    return time.process_time() - began


def main() -> None:
    """Measure, and print one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=30_000)
    parser.add_argument("--height", type=int, help="rows, if not as many as columns")
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    segmenter = Segmenter(device=options.device)
    canvas = segmenter.canvas(None)
    image, colors = torch.rand(2, 3, canvas, canvas, generator=torch.Generator().manual_seed(0))
    prompt = Prompt((image,), (colors,), Palette.of(["a"]), scale=options.scale)
    height = options.height or options.side
    size = scaled_size(height, options.side, options.scale)
    count = len(windows(*size, canvas, 0.25))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        write_raster(path, options.side, height)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        read = bare_read(path)
        net = forward(segmenter, prompt, count // 2)
        began = time.process_time()
        segment_raster(segmenter, prompt, path, Path(folder) / "mask.tif", ImageOptions())
        ours = time.process_time() - began
        net += forward(segmenter, prompt, count - count // 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{options.side} x {height} at scale {options.scale:g}, {count} windows: {ours:.1f} s; "
        f"bare read {read:.1f} s; forward {net:.1f} s; ratio {ours / net:.3f}; peak memory "
        f"{peak / 2**20:.2f} GiB ({before / 2**20:.2f} before)"
    )


if __name__ == "__main__":
    main()
