"""Class maps as pictures: their indices, their colors laid over images, and sheets of these."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.samples import LoadedSample
from prompttune.prompts.palette import Color, Palette
from prompttune.utils.constants import IGNORE
from prompttune.utils.contact_sheet import Written, grid, write_png

OPACITY = 0.45
WHITE_SHOWN_AS = (0, 229, 255)
"""A single class is white, which vanishes on bright photos: overlays show it in this cyan."""


def index_image(class_map: np.ndarray, palette: Palette) -> Image.Image:
    """Turn a class map into a PIL image of mode P: its indices, with the palette's colors."""
    image = Image.fromarray(class_map)
    image.putpalette([0, 0, 0, *(value for color in palette.colors for value in color)])
    return image


def shown_colors(palette: Palette) -> tuple[Color, ...]:
    """Return the classes' colors in overlays."""
    white_alone = palette.colors == ((255, 255, 255),)
    return (WHITE_SHOWN_AS,) if white_alone else palette.colors


def overlay(image: np.ndarray, class_map: np.ndarray, palette: Palette) -> Image.Image:
    """Lay the classes' colors over an image: half transparent, full along thin outlines."""
    table = np.array([(0, 0, 0), *shown_colors(palette)], np.float32)
    foreground = class_map > 0
    colors = table[class_map[foreground]]
    opacity = np.where(_outlines(class_map)[foreground], np.float32(1), np.float32(OPACITY))
    blended = image.copy()
    under = image[foreground].astype(np.float32)
    blended[foreground] = (under + (colors - under) * opacity[:, None]).round().astype(np.uint8)
    return Image.fromarray(blended)


def _outlines(class_map: np.ndarray) -> np.ndarray:
    """Find foreground pixels that touch another class on one of four sides, `H x W bool`."""
    edge = np.zeros(class_map.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = class_map[one] != class_map[other]
        edge[one] |= differs
        edge[other] |= differs
    return edge & (class_map > 0)


SIDE, GAP, LINE, FONT_SIZE = 256, 6, 16, 11
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
COLUMNS = 3


def write_sheet(path: Path, samples: Iterable[LoadedSample], classes: Sequence[str]) -> None:
    """Write one picture of labeled images, each beside its mask laid over it, as PNG.

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
