"""Where a picture lies on the earth: read from GeoTIFF tags or a world file, passed on as it is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from prompttune.utils.image_files import is_tiff_name
from prompttune.utils.io import write_whole

_SCALE, _TIE, _TRANSFORM, _DIRECTORY = 33550, 33922, 34264, 34735
_GEO_TAGS = (_SCALE, _TIE, _TRANSFORM, _DIRECTORY, 34736, 34737)
"""Pixel scale, tie points, transformation, and GeoTIFF's keys with their doubles and texts."""
_PLACED = frozenset({33550, 34264, 34735})
_RASTER_TYPE, _PIXEL_IS_POINT = 1025, 2
_NODATA = 42113
_DTYPES = {34735: "H", 34737: "s", _NODATA: "s"}

Tag = tuple[int, str, int, object, bool]
"""Code, type, count, value, and whether it is written once, as tifffile takes them."""


@dataclass(frozen=True)
class Georeference:
    """The tags of a GeoTIFF, for an answer of the same size."""

    tags: tuple[Tag, ...]
    nodata: float | None = None
    """The value of pixels that hold nothing."""

    @property
    def matrix(self) -> np.ndarray | None:
        """Return the map `2 x 3` from x, y in pixels to map coordinates; None where it is unknown.

        It is the affine one of a scale and one tie point, or of a transformation.
        """
        values = {code: value for code, _, _, value, _ in self.tags}
        if _TRANSFORM in values:
            four = np.array(values[_TRANSFORM], np.float64).reshape(4, 4)
            matrix = four[:2, [0, 1, 3]]
        elif _SCALE in values and _TIE in values:
            width, height = np.array(values[_SCALE], np.float64)[:2]
            column, row, _, x, y, _ = np.array(values[_TIE], np.float64)[:6]
            matrix = np.array([[width, 0, x - width * column], [0, -height, y + height * row]])
        else:
            return None
        if self._key(_RASTER_TYPE) == _PIXEL_IS_POINT:
            matrix = matrix.copy()
            matrix[:, 2] -= matrix[:, :2] @ (0.5, 0.5)
        return matrix

    @property
    def pixel_area(self) -> float | None:
        """Return what a pixel covers, in map units squared."""
        matrix = self.matrix
        return None if matrix is None else abs(float(np.linalg.det(matrix[:, :2])))

    @property
    def epsg(self) -> int | None:
        """Return the number of the coordinate system, where it has one."""
        code = self._key(3072) or self._key(2048)
        return code if code is not None and 0 < code < 32767 else None

    def _key(self, wanted: int) -> int | None:
        """Return a short value of GeoTIFF's directory of keys."""
        for code, _, _, value, _ in self.tags:
            if code == _DIRECTORY:
                entries = np.array(value, np.int64)[4:].reshape(-1, 4)
                for key, place, _, number in entries.tolist():
                    if key == wanted and place == 0:
                        return int(number)
        return None

    def at(self, points: np.ndarray) -> np.ndarray:
        """Turn points `K x 2`, x and y in pixels from the corner, into map coordinates."""
        matrix = self.matrix
        return points if matrix is None else points @ matrix[:, :2].T + matrix[:, 2]

    def for_classes(self, classes: int) -> tuple[tuple[Tag, ...], int | None]:
        """Return the tags of a class map, and what stands for no data in it.

        That is the picture's own value where no class has it, else 255.
        """
        if self.nodata is None:
            return self.tags, None
        own = int(self.nodata) if self.nodata in range(256) else 255
        value = own if own == 0 or own > classes else 255
        text = str(value)
        return (*self.tags, (_NODATA, "s", len(text) + 1, text, True)), value


def read_georeference(path: Path) -> Georeference | None:
    """Return where a TIFF lies; None where it does not say so, or is no TIFF that can be read."""
    if not is_tiff_name(path) or not path.is_file():
        return None
    try:
        with tifffile.TiffFile(path) as file:
            tags = file.pages.first.tags
            if not _PLACED & {tag.code for tag in tags}:
                return None
            nodata = tags.get(_NODATA)
            found = tuple(_copied(tags[code]) for code in _GEO_TAGS if code in tags)
            return Georeference(found, _number(nodata.value) if nodata else None)
    except Exception:  # reading the picture will say what is wrong
        return None


def _copied(tag: "tifffile.TiffTag") -> Tag:
    value = tag.value
    if isinstance(value, str):
        return tag.code, "s", len(value) + 1, value, True
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return tag.code, _DTYPES.get(tag.code, "d"), len(values), values, True


def _number(text: object) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def copy_world_file(image: Path, mask: Path) -> None:
    """Put a copy of an image's world file, and of its `.prj`, beside its mask."""
    ending = image.suffix.lower().lstrip(".")
    endings = [f".{ending}w", ".wld"] + ([f".{ending[0]}{ending[-1]}w"] if ending else [])
    for each in endings:
        for own in (image.with_suffix(each), image.with_suffix(each.upper())):
            if own.is_file():
                write_whole(mask.with_suffix(".pgw"), own.read_bytes())
                projection = image.with_suffix(".prj")
                if projection.is_file():
                    write_whole(mask.with_suffix(".prj"), projection.read_bytes())
                return
