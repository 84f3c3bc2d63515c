"""Pictures side by side in one: fitted, laid out in rows, written upon, and kept as PNG.

Everything that shows several pictures at once is laid out here: previews of keys, the progress of
tuning, pages of comparisons, sheets of training data.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from prompttune.utils.io import whole_file

Color = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PAPER, INK = (20, 22, 27), (236, 238, 242)
"""Of dark sheets."""


def fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Scale a picture until its longer side is `side` pixels, hard-edged where it grows.

    Args:
        picture: `H x W x 3 uint8`.
        side: pixels.
    """
    factor = side / max(picture.shape[:2])
    size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
    return resize(picture, size)


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture: by areas where it shrinks, with hard edges where it grows.

    Args:
        picture: `H x W x 3 uint8`.
        size: width and height in pixels.
    """
    shrinks = size[0] < picture.shape[1]
    filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=filter_))


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int, paper: Color = PAPER) -> np.ndarray:
    """Lay pictures out in rows, each in the middle of a cell that is as large as the largest.

    Args:
        rows: of pictures `H x W x 3 uint8`; rows may be of different lengths, at least one has one.
        gap: pixels between cells; none around them.
        paper: behind them.

    Returns:
        `H x W x 3 uint8`.
    """
    height = max(one.shape[0] for row in rows for one in row)
    width = max(one.shape[1] for row in rows for one in row)
    columns = max(map(len, rows))
    shape = len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3
    sheet = np.full(shape, paper, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            h, w = picture.shape[:2]
            top, left = i * (height + gap) + (height - h) // 2, j * (width + gap) + (width - w) // 2
            sheet[top : top + h, left : left + w] = picture
    return sheet


def beside(left: np.ndarray, right: np.ndarray, gap: int, paper: Color = PAPER) -> np.ndarray:
    """Put two sheets beside each other, their tops level."""
    height = max(left.shape[0], right.shape[0])
    sheet = np.full((height, left.shape[1] + gap + right.shape[1], 3), paper, np.uint8)
    sheet[: left.shape[0], : left.shape[1]] = left
    sheet[: right.shape[0], -right.shape[1] :] = right
    return sheet


class Written:
    """A blank sheet for pictures and text.

    Args:
        size: width and height in pixels.
        paper: its color.
        ink: of the text.
        font_size: in pixels.
    """

    def __init__(
        self, size: tuple[int, int], paper: Color = PAPER, ink: Color = INK, font_size: int = 15
    ) -> None:
        self.image = Image.new("RGB", size, paper)
        self.font = ImageFont.load_default(font_size)
        self._ink = ink
        self.draw = ImageDraw.Draw(self.image)

    def paste(self, picture: np.ndarray | Image.Image, place: tuple[int, int]) -> None:
        """Put a picture with its left upper corner at `place`."""
        whole = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        self.image.paste(whole, place)

    def text(
        self,
        text: str,
        place: tuple[float, float],
        width: int | None = None,
        anchor: str = "lm",
        ink: Color | None = None,
    ) -> None:
        """Write a line.

        Args:
            text: of it.
            place: x and y of its `anchor`.
            width: pixels to which it is cut in its middle; None: it is not.
            anchor: as Pillow names it; the left middle unless another is given.
            ink: its color; None: the sheet's.
        """
        shown = text if width is None else shorten(text, width, self.font)
        self.draw.text(place, shown, ink or self._ink, self.font, anchor=anchor)

    def legend(self, meanings: dict[str, Color], place: tuple[int, int]) -> None:
        """Write what colors mean, each beside a square of it, from the left middle at `place`."""
        left, middle = place
        for meaning, color in meanings.items():
            square = (left, middle - 6, left + 12, middle + 6)
            self.draw.rectangle(square, fill=color, outline=self._ink)
            self.text(meaning, (left + 18, middle))
            left += 36 + round(self.font.getlength(meaning))


def write_png(path: Path, image: Image.Image | np.ndarray) -> None:
    """Write a PNG, as `encode_png` makes it, whole or not at all."""
    with whole_file(path) as file:
        _save(image, file)


def encode_png(image: Image.Image | np.ndarray, level: int | None = None) -> bytes:
    """Return the PNG file of a picture.

    Args:
        image: of Pillow, or `H x W x 3 uint8`.
        level: of compression, 0 to 9; None: photos are packed for speed, index images for size.
    """
    file = io.BytesIO()
    _save(image, file, level)
    return file.getvalue()


def _save(image: Image.Image | np.ndarray, file: BinaryIO, level: int | None = None) -> None:
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    usual = 6 if picture.mode == "P" else 1
    picture.save(file, format="png", compress_level=usual if level is None else level)


def shorten(text: str, width: int, font: Font) -> str:
    """Take letters out of a line's middle until it is at most `width` pixels wide."""
    kept, shown = len(text), text
    while font.getlength(shown) > width and kept > 4:
        kept -= 1
        shown = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
    return shown
