"""One picture of many labeled images: each beside its mask laid over it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.samples import LoadedSample
from prompttune.outputs.drawing import overlay, shown_colors
from prompttune.prompts.palette import Palette
from prompttune.utils.constants import IGNORE
from prompttune.utils.contact_sheet import Written, grid, write_png

SIDE, GAP, LINE, FONT_SIZE = 256, 6, 16, 11
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
COLUMNS = 3


def write_sheet(path: Path, samples: Iterable[LoadedSample], classes: Sequence[str]) -> None:
    """Write a PNG, whole or not at all.

    Args:
        path: of the file; its folder is made.
        samples: a few; ignored pixels are shown in gray.
        classes: names of the foreground classes, listed with their colors at the top.
    """
    palette = Palette.of(classes)
    tiles = [_tile(sample, palette) for sample in samples]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    pictures = grid(rows, GAP, WHITE)
    height, width = pictures.shape[:2]
    sheet = Written((width + 2 * GAP, height + LINE + 3 * GAP), WHITE, BLACK, FONT_SIZE)
    colors = dict(zip(palette.classes[:12], shown_colors(palette), strict=False))
    sheet.legend(colors, (GAP, GAP + LINE // 2))
    sheet.paste(pictures, (GAP, LINE + 2 * GAP))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, sheet.image)


def _tile(sample: LoadedSample, palette: Palette) -> np.ndarray:
    """Draw an image, and beside it the same with its classes, its name above."""
    ignored = sample.class_map == IGNORE
    shown = np.where(ignored[:, :, None], np.uint8(128), sample.image)
    drawn = overlay(shown, np.where(ignored, 0, sample.class_map).astype(np.uint8), palette)
    tile = Written((2 * SIDE + GAP, SIDE + LINE), WHITE, BLACK, FONT_SIZE)
    for place, image in enumerate((Image.fromarray(sample.image), drawn)):
        image.thumbnail((SIDE, SIDE))
        tile.paste(image, (place * (SIDE + GAP), LINE))
    tile.text(sample.name, (0, LINE // 2), 2 * SIDE)
    return np.asarray(tile.image)
