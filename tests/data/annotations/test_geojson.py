"""QuPath's GeoJSON gives the pixels that were drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from drawn import HEIGHT, INSIDE, WIDTH, image, only_map

CORNERS = [[4, 5], [24, 5], [24, 15], [4, 15]]


def feature(rings: list[list[list[float]]], name: str = "Tumor") -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


@pytest.mark.parametrize("collection", [True, False])
def test_qupath(tmp_path: Path, collection: bool) -> None:
    image(tmp_path / "slide.png")
    hole = [[8, 7], [12, 7], [12, 9], [8, 9]]
    features = [feature([CORNERS, hole]), feature([[[30, 1], [34, 1], [34, 3], [30, 3]]], "Stroma")]
    content: Any = {"type": "FeatureCollection", "features": features} if collection else features
    (tmp_path / "slide.geojson").write_text(json.dumps(content))
    expected = INSIDE.astype(np.uint8)
    expected[7:9, 8:12] = 0
    expected[1:3, 30:34] = 2
    np.testing.assert_array_equal(only_map(tmp_path, "Tumor", "Stroma"), expected)


def test_geojson_of_a_georeferenced_image_is_in_map_coordinates(tmp_path: Path) -> None:
    tags = [(33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0, 0, 0, 4e5, 5e6, 0), True)]
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    tifffile.imwrite(tmp_path / "field.tif", pixels, extratags=tags, photometric="rgb")
    on_map = [[4e5 + 0.5 * x, 5e6 - 0.5 * y] for x, y in CORNERS]
    (tmp_path / "field.geojson").write_text(json.dumps([feature([on_map])]))
    np.testing.assert_array_equal(only_map(tmp_path, "Tumor") == 1, INSIDE)
