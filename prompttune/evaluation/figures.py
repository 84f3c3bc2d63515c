"""One picture a test image: the image, its truth, and what some rows make of it, side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompttune.evaluation.metrics import counted_pixels
from prompttune.prompts.palette import Palette
from prompttune.utils.contact_sheet import Written, resize

# Okabe and Ito's orange and sky blue: told apart by colour-blind readers, and from white and black.
HIT, MISSED, FALSE = (255, 255, 255), (230, 159, 0), (86, 180, 233)
NOT_COUNTED = (44, 47, 54)
STRIP, GAP, FONT_SIZE = 34, 6, 17
NARROWEST, WIDEST = 320, 640


def colour_answer(
    predicted: np.ndarray, truth: np.ndarray, field_of_view: np.ndarray | None, palette: Palette
) -> np.ndarray:
    """Colour a class map for the reader.

    With one class the colours tell hits (white), missed (orange) and false (blue) pixels apart;
    with several they are the palette's. Pixels that are not counted are dark grey.

    Args:
        predicted: `H x W uint8` class map.
        truth: `H x W uint8` class map; given twice, it shows the truth itself.
        field_of_view: `H x W bool` or None.
        palette: the task's classes and colours.

    Returns:
        `H x W x 3 uint8`.
    """
    if len(palette.classes) == 1:
        colours = np.zeros((2, 2, 3), np.uint8)
        colours[1, 1], colours[0, 1], colours[1, 0] = HIT, MISSED, FALSE
        painted = colours[(predicted == 1).astype(int), (truth == 1).astype(int)]
    else:
        table = np.zeros((256, 3), np.uint8)
        table[1 : len(palette.colours) + 1] = palette.colours
        painted = table[predicted]
    painted[~counted_pixels(truth, field_of_view)] = NOT_COUNTED
    return painted


def save_picture(path: Path, panels: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write labelled panels of one size, each `H x W x 3 uint8`, side by side as PNG."""
    height, width = panels[0][1].shape[:2]
    factor = min(WIDEST / max(height, width), 1)
    if width * factor < NARROWEST:
        factor = float(-(-NARROWEST // width))
    height, width = round(height * factor), round(width * factor)
    sheet = Written(((width + GAP) * len(panels) + GAP, height + STRIP + GAP), font_size=FONT_SIZE)
    for index, (label, image) in enumerate(panels):
        left = GAP + index * (width + GAP)
        sheet.paste(resize(image, (width, height)), (left, STRIP))
        sheet.text(label, (left + 4, STRIP // 2), width - 8)
    sheet.image.save(path, format="PNG")
