"""One picture of many labelled images: each beside its mask laid over it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from prompttune.data.samples import LoadedSample
from prompttune.outputs.drawing import overlay, shown_colours, write_png
from prompttune.prompts.palette import Palette
from prompttune.utils.constants import IGNORE

SIDE, GAP, LINE = 256, 6, 16
COLUMNS = 3


def write_sheet(path: Path, samples: Iterable[LoadedSample], classes: Sequence[str]) -> None:
    """Write a PNG, whole or not at all.

    Args:
        path: of the file; its folder is made.
        samples: a few; ignored pixels are shown in grey.
        classes: names of the foreground classes, listed with their colours at the top.
    """
    palette = Palette.of(classes)
    tiles = [_tile(sample, palette) for sample in samples]
    width, height = tiles[0].size
    rows = -(-len(tiles) // COLUMNS)
    columns = min(COLUMNS, len(tiles))
    size = columns * (width + GAP) + GAP, LINE + rows * (height + GAP) + 2 * GAP
    sheet = Image.new("RGB", size, "white")
    _legend(ImageDraw.Draw(sheet), palette)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, COLUMNS)
        left, top = GAP + column * (width + GAP), LINE + 2 * GAP + row * (height + GAP)
        sheet.paste(tile, (left, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, sheet)


def _tile(sample: LoadedSample, palette: Palette) -> Image.Image:
    """Draw an image, and beside it the same with its classes."""
    ignored = sample.class_map == IGNORE
    shown = np.where(ignored[:, :, None], np.uint8(128), sample.image)
    drawn = overlay(shown, np.where(ignored, 0, sample.class_map).astype(np.uint8), palette)
    tile = Image.new("RGB", (2 * SIDE + GAP, SIDE + LINE), "white")
    for place, image in enumerate((Image.fromarray(sample.image), drawn)):
        image.thumbnail((SIDE, SIDE))
        tile.paste(image, (place * (SIDE + GAP), LINE))
    ImageDraw.Draw(tile).text((0, 2), sample.name[-60:], fill="black")
    return tile


def _legend(draw: ImageDraw.ImageDraw, palette: Palette) -> None:
    left = GAP
    for name, colour in zip(palette.classes[:12], shown_colours(palette), strict=False):
        draw.rectangle((left, GAP, left + 10, GAP + 10), fill=colour, outline="black")
        draw.text((left + 14, GAP - 1), name, fill="black")
        left += 24 + int(draw.textlength(name))
