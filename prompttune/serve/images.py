"""Images out of requests: their size is read from the header before a pixel is decoded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompttune.data.decoding import header, is_tiff, page_count, tiff_file
from prompttune.data.inputs import load_image, read_given
from prompttune.geo.georeference import Georeference, read_georeference
from prompttune.prompts.composition import Composition
from prompttune.prompts.examples import read_class_maps
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import image_for
from prompttune.serve.limits import Limits, Refused
from prompttune.utils.errors import InputError

MAX_BANDS = 16
"""Of an image: decoding one reads all of them."""


def read_pixels(
    data: bytes, called: str, limits: Limits, prompt: Prompt | Composition | None = None
) -> np.ndarray:
    """Decode an image file as `Segmenter.predict` does for a prompt, `H x W x 3 uint8`.

    What the file is shows in its bytes: names and types that a client gives are not looked at.

    Raises:
        Refused: 413, more pixels or bands than the limits allow; 422, not an image, or damaged.
    """
    try:
        read_given(data, lambda path: _check(path, called, limits), called)
        return load_image(data, called) if prompt is None else image_for(prompt, data, called)
    except InputError as error:
        raise Refused(422, f"{error}.".replace("..", ".")) from None


def read_mask(
    data: bytes, called: str, classes: Sequence[str] | None, limits: Limits
) -> np.ndarray:
    """Decode a mask file as `Prompt.from_examples` does, `H x W uint8`.

    Raises:
        Refused: as `read_pixels`, or values that the classes do not name.
    """
    try:
        read_given(data, lambda path: _check(path, called, limits), called)
        return read_class_maps([data], classes)[1][0]
    except InputError as error:
        text = str(error).replace("example 1, mask", called)
        raise Refused(422, f"{text}.".replace("..", ".")) from None


def place_on_earth(data: bytes) -> Georeference | None:
    """Return where a GeoTIFF lies; None for other images."""
    return read_given(data, read_georeference, "image")


def _check(path: Path, called: str, limits: Limits) -> None:
    (width, height), _, _ = header(path)
    if width * height > limits.pixels:
        raise Refused(
            413,
            f"{called}: has {width} x {height} pixels, and the limit here is {limits.pixels}; "
            "scale it down, or cut it into parts.",
        )
    if is_tiff(path):
        with tiff_file(path) as file:
            samples = file.pages.first.samplesperpixel
            total = int(np.prod(file.series[0].shape, dtype=np.int64)) // max(1, width * height)
        if max(samples, total // page_count(path)) > MAX_BANDS:
            raise Refused(413, f"{called}: has over {MAX_BANDS} bands; save fewer.")
