"""Results as bytes to send, index PNG, run lengths, COCO, GeoJSON, NumPy; and how good they are."""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.geo.georeference import Georeference
from prompttune.inference.result import Result
from prompttune.outputs.drawing import index_image
from prompttune.outputs.formats import Answer, geojson
from prompttune.outputs.instances import (
    Instance,
    coco_results,
    compress,
    find_instances,
    run_lengths,
)
from prompttune.prompts.prompt import Prompt
from prompttune.utils.contact_sheet import encode_png


@dataclass(frozen=True)
class Trust:
    """What is known of an answer's quality; None: not known, as with all examples."""

    expected_dice: float | None
    """The Dice that it can be expected to have, in [0, 1]."""
    confidence: float | None
    """The probability that a pixel's class is right, the mean over the pixels, in [0, 1]."""
    in_domain: bool | None
    """Whether the image is like those that the key was learned from; if not, both are too high."""

    @classmethod
    def of(cls, result: Result) -> "Trust":
        """Return what is known of a result."""
        dice, confidence = result.expected_dice, result.confidence
        return cls(
            None if dice is None else round(float(dice), 4),
            None if confidence is None else round(float(confidence.mean()), 4),
            result.in_domain,
        )

    def fields(self) -> dict[str, Any]:
        """Return it for JSON, with `null` for what is not known."""
        return asdict(self)

    def headers(self) -> dict[str, str]:
        """Return it as headers of a response; what is not known is left out."""
        names = {name: f"x-prompttune-{name.replace('_', '-')}" for name in self.fields()}
        known = {name: value for name, value in self.fields().items() if value is not None}
        return {names[name]: json.dumps(value) for name, value in known.items()}


MIN_AREA = 16
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
        "coco": lambda result: _json(objects(result)),
        "geojson": lambda result: _geojson(result, place),
        "npz": _npz,
    }
    return makers[kind](result)


def run_length_masks(result: Result) -> dict[str, Any]:
    """Return one whole mask a class as COCO's compressed run lengths, column by column.

    Beside them stands what is known of their quality, of a mask the mean over its pixels.
    """
    height, width = result.classes.shape
    masks = []
    for number, name in enumerate(result.palette.classes, 1):
        plane = result.classes == number
        whole = Instance(number, 1.0, (0, 0, width, height), plane, (height, width))
        counts = compress(run_lengths(whole)) if plane.any() else compress([height * width])
        confidence = _mean(result.confidence, plane)
        masks.append(
            {
                "class": name,
                "pixels": int(plane.sum()),
                "confidence": confidence,
                "counts": counts,
            }
        )
    return {"size": [height, width], "masks": masks, **Trust.of(result).fields()}


def objects(result: Result) -> list[dict[str, Any]]:
    """Return `Result.to_coco`, each object with its `confidence` where the key tells it."""
    one_class = isinstance(result.prompt, Prompt) and result.prompt.instance_of is not None
    found = find_instances(result, MIN_AREA, one_class)
    listed = coco_results(found, 0)
    if result.confidence is not None:
        for content, each in zip(listed, found, strict=True):
            left, top, width, height = each.box
            inside = result.confidence[top : top + height, left : left + width]
            content["confidence"] = _mean(inside, each.mask)
    return listed


def _mean(confidence: np.ndarray | None, plane: np.ndarray) -> float | None:
    if confidence is None or not plane.any():
        return None
    return round(float(confidence[plane].mean(dtype=np.float64)), 4)


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _png(result: Result) -> bytes:
    return encode_png(index_image(result.classes, result.palette))


def _geojson(result: Result, place: Georeference | None) -> bytes:
    answer = Answer(Path("image"), None, result.classes, result.palette, place, MIN_AREA)
    content = json.loads(geojson(answer))
    content["reliability"] = Trust.of(result).fields()  # RFC 7946 lets other members stand here
    return _json(content)


def _npz(result: Result) -> bytes:
    """Write `classes`, `scores`, `names` and what is known of the quality; no pickle."""
    arrays = {
        "classes": result.classes,
        "scores": result.scores,
        "names": np.array(result.palette.classes),
    }
    if result.confidence is not None:
        arrays["confidence"] = result.confidence
    trust = Trust.of(result)
    if trust.expected_dice is not None:
        arrays["expected_dice"] = np.array(trust.expected_dice)
    if trust.in_domain is not None:
        arrays["in_domain"] = np.array(trust.in_domain)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()
