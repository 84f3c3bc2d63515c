"""Results as bytes to send: index PNG, run lengths, COCO, GeoJSON, NumPy arrays."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.geo.georeference import Georeference
from prompttune.inference.result import Result
from prompttune.outputs.drawing import index_image
from prompttune.outputs.formats import Answer, geojson
from prompttune.outputs.instances import Instance, compress, run_lengths

LEAST_AREA = 16
"""Pixels of a thing in `coco` and `geojson`, as the command line has it."""
MEDIA = {
    "png": "image/png",
    "rle": "application/json",
    "coco": "application/json",
    "geojson": "application/geo+json",
    "npz": "application/x-npz",
}
"""Of each format, its media type."""


def encoded(result: Result, kind: str, place: Georeference | None = None) -> bytes:
    """Write a result in a format of `MEDIA`; `place` is that of a GeoTIFF."""
    makers: dict[str, Callable[[Result], bytes]] = {
        "png": _png,
        "rle": lambda result: _json(run_length_masks(result)),
        "coco": lambda result: _json(result.to_coco(0, LEAST_AREA)),
        "geojson": lambda result: _geojson(result, place),
        "npz": _npz,
    }
    return makers[kind](result)


def run_length_masks(result: Result) -> dict[str, Any]:
    """Return one whole mask a class as COCO's compressed run lengths, column by column."""
    height, width = result.classes.shape
    masks = []
    for number, name in enumerate(result.palette.classes, 1):
        plane = result.classes == number
        whole = Instance(number, 1.0, (0, 0, width, height), plane, (height, width))
        counts = compress(run_lengths(whole)) if plane.any() else compress([height * width])
        masks.append({"class": name, "pixels": int(plane.sum()), "counts": counts})
    return {"size": [height, width], "masks": masks}


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _png(result: Result) -> bytes:
    file = io.BytesIO()
    index_image(result.classes, result.palette).save(file, format="png", compress_level=6)
    return file.getvalue()


def _geojson(result: Result, place: Georeference | None) -> bytes:
    answer = Answer(Path("image"), None, result.classes, result.palette, place, LEAST_AREA)
    return geojson(answer).encode()


def _npz(result: Result) -> bytes:
    """Write `classes`, `scores`, `names` and, where the result has it, `confidence`; no pickle."""
    arrays = {
        "classes": result.classes,
        "scores": result.scores,
        "names": np.array(result.palette.classes),
    }
    if result.confidence is not None:
        arrays["confidence"] = result.confidence
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()
