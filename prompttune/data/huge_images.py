"""PNG and JPEG files that are too large to be decoded at once, and can be read row by row."""

from pathlib import Path

from prompttune.data.decoding import MAX_PIXELS, ORIENTATION
from prompttune.utils.image_files import JPEG, PNG

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_GRAY, _RGB = 0, 2
MIN_BYTES = MAX_PIXELS // 1100
"""Of a file with so many pixels: PNG packs no more than 1032 times, JPEG less."""


def is_huge(path: Path) -> bool:
    """Say whether a file is a plain image of `MAX_PIXELS` or more that decodes from top to bottom.

    Plain is 8 bits, gray or RGB, upright, and not interlaced. Only the header is read.
    """
    ending = path.suffix.lower()
    try:
        if ending not in PNG | JPEG or path.stat().st_size < MIN_BYTES:
            return False
        return _is_huge_png(path) if ending in PNG else _is_huge_jpeg(path)
    except Exception:  # reading it will say what is wrong
        return False


def _is_huge_png(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(29)
    if not head.startswith(_PNG):
        return False
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    depth, kind, interlaced = head[24], head[25], head[28]
    plain = depth == 8 and kind in (_GRAY, _RGB) and not interlaced
    return plain and width * height >= MAX_PIXELS


def _is_huge_jpeg(path: Path) -> bool:
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(path) as image:  # `Image.open` refuses so many pixels
        plain = image.mode in ("L", "RGB") and not image.info.get("progressive")
        upright = image.getexif().get(ORIENTATION, 1) == 1
        return bool(plain and upright and image.width * image.height >= MAX_PIXELS)
