"""Things as polygons in a GeoPackage, which GIS programs open (pyogrio, shapely)."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompttune.geo.georeference import Georeference
from prompttune.outputs.outlines import Shape
from prompttune.utils.errors import InputError
from prompttune.utils.io import publish, temporary_for


def write_geopackage(
    path: Path, shapes: Sequence[Shape], classes: Sequence[str], place: Georeference | None
) -> None:
    """Write a layer of polygons with their classes, pixels and areas, whole or not at all.

    Coordinates are map coordinates, or pixels (y down) where there are none.

    Args:
        path: of the file, `.gpkg`.
        shapes: of the class map.
        classes: names of the foreground classes.
        place: of the image.

    Raises:
        InputError: the packages are not installed.
    """
    try:
        import shapely
        from pyogrio.raw import write
    except ImportError:
        raise InputError(
            f"{path}: --format gpkg needs further packages; pip install prompttune[geo]"
        ) from None
    rings = [[r if place is None else place.at(r) for r in shape.rings] for shape in shapes]
    polygons = np.array([shapely.Polygon(each[0], each[1:]) for each in rings], object)
    pixels = np.array([shape.area for shape in shapes], np.int64)
    pixel = None if place is None else place.pixel_area
    areas = pixels * (1.0 if pixel is None else pixel)
    names = np.array([classes[shape.number - 1] for shape in shapes], object)
    crs = None if place is None or place.epsg is None else f"EPSG:{place.epsg}"
    # GDAL wants the ending, so that the name for the time being keeps it.
    temporary = temporary_for(path, "gpkg")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # pixels have none
            write(
                str(temporary), shapely.to_wkb(polygons), [names, pixels, areas],
                ["class", "pixels", "area"], layer="things", driver="GPKG",
                geometry_type="Polygon", crs=crs,
            )  # fmt: skip
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
