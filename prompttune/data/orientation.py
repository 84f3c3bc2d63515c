"""Which way up a picture was taken: its EXIF tag, and turning pixels by it."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 274  # the EXIF and TIFF tag


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; of TIFF, which Pillow has turned, 1."""
    return 1 if image.format == "TIFF" else int(image.getexif().get(ORIENTATION, 1))


def orientation_in_header(path: Path, image: Image.Image) -> int:
    """Return the orientation; Pillow would decode a PNG to look for it behind the pixels."""
    if image.format != "PNG":
        return orientation_of(image)
    exif = Image.Exif()
    with path.open("rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8 and start[4:] != b"IEND":
            length = int.from_bytes(start[:4])
            if start[4:] == b"eXIf":
                exif.load(file.read(length))
                return int(exif.get(ORIENTATION, 1))
            file.seek(length + 4, os.SEEK_CUR)
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (1..8): first swap the axes, then mirror rows and columns."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
