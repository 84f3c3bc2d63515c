"""Class maps of large rasters as tiled GeoTIFF, written from top to bottom (rasterio)."""

import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from prompttune.outputs.drawing import overlay
from prompttune.outputs.paths import overlay_path
from prompttune.prompts.palette import Palette
from prompttune.utils.io import publish, temporary_for, whole_path

_SHOWN = 4096
"""Longest side of the overlay."""


class RasterWriter:
    """Writes a class map and a small overlay; both appear at the end of the `with` block.

    Args:
        path: of the class map.
        profile: width, height, crs and transform, as rasterio names them.
        palette: of the classes.
        nodata: of the raster; in the class map it keeps its value if no class has it, else 255.
    """

    def __init__(
        self, path: Path, profile: dict[str, Any], palette: Palette, nodata: float | None
    ) -> None:
        self.path, self._profile, self._palette = path, profile, palette
        own = 255 if nodata is None or nodata not in range(256) else int(nodata)
        free = own == 0 or own > len(palette.classes)
        self.nodata = None if nodata is None else own if free else 255
        self._every = max(1, -(-max(profile["width"], profile["height"]) // _SHOWN))
        self._shown: list[np.ndarray] = []

    def __enter__(self) -> Self:
        import rasterio

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = temporary_for(self.path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            self._file = rasterio.open(
                self._temporary, "w", driver="GTiff", count=1, dtype="uint8", tiled=True,
                blockxsize=512, blockysize=512, compress="deflate", zlevel=1, bigtiff="IF_SAFER",
                nodata=self.nodata, **self._profile,
            )  # fmt: skip
        colors = {0: (0, 0, 0)} | dict(enumerate(self._palette.colors, 1))
        self._file.write_colormap(1, colors)
        return self

    def add(self, top: int, class_map: np.ndarray, pixels: np.ndarray) -> None:
        """Add rows from `top` on: `h x W uint8`, and what was segmented, `h x W x 3 uint8`."""
        from rasterio.windows import Window

        self._file.write(class_map, 1, window=Window(0, top, class_map.shape[1], len(class_map)))
        first = -top % self._every
        few = class_map[first :: self._every, :: self._every]
        classes = np.where(few > len(self._palette.classes), 0, few).astype(np.uint8)
        small = np.ascontiguousarray(pixels[first :: self._every, :: self._every])
        if len(classes):
            self._shown.append(np.asarray(overlay(small, classes, self._palette)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                self._write_overlay()
                publish(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _write_overlay(self) -> None:
        import rasterio
        from rasterio.transform import Affine

        drawn = np.concatenate(self._shown)
        path = overlay_path(self.path)
        a, b, c, d, e, f = self._profile["transform"][:6]
        a, b, d, e = (each * self._every for each in (a, b, d, e))
        place = Affine(a, b, c, d, e, f)
        with whole_path(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(
                temporary, "w", driver="GTiff", count=3, dtype="uint8", compress="deflate",
                width=drawn.shape[1], height=drawn.shape[0], crs=self._profile["crs"],
                transform=place, photometric="RGB",
            ) as file:  # fmt: skip
                file.write(np.moveaxis(drawn, -1, 0))
