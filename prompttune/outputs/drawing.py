"""Class maps as pictures: their indices, and their colors laid over what was segmented."""

import numpy as np
from PIL import Image

from prompttune.prompts.palette import Color, Palette

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
