"""Class maps and overlays as TIFF: georeferenced, or the pages of a stack; whole or not at all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from prompttune.geo.georeference import Tag
from prompttune.prompts.palette import Palette
from prompttune.utils.io import publish, temporary_for


class PageWriter:
    """Writes pages one by one; the file appears under its name with `finish`.

    Args:
        path: of the file; its folder exists.
        palette: of class maps; None for pages in colors.
        tags: further tags of the first page.
        pages: of the stack that was segmented, from 0, where they are not all; kept in the file.
    """

    def __init__(
        self,
        path: Path,
        palette: Palette | None,
        tags: tuple[Tag, ...] = (),
        pages: Sequence[int] | None = None,
    ) -> None:
        self.path, self._tags, self._said = path, tags, _in_words(pages)
        self._colors = None if palette is None else _colormap(palette)
        self._temporary = temporary_for(path)
        self._file = tifffile.TiffWriter(self._temporary)

    def add(self, page: np.ndarray) -> None:
        """Add a class map `H x W uint8`, or a picture `H x W x 3 uint8`."""
        mapped = self._colors is not None
        self._file.write(
            page,
            photometric="palette" if mapped else "rgb",
            colormap=self._colors,
            compression="zlib",
            metadata=None,
            extratags=self._tags,
            description=self._said,
        )
        self._said = None

    def finish(self) -> None:
        """Give the file its name, now that all pages are in it."""
        try:
            self._file.close()
            publish(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave no file behind."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def holds_pages(path: Path, pages: Sequence[int] | None) -> bool:
    """Say whether a class map is of these pages of a stack.

    Args:
        path: of a TIFF that `PageWriter` wrote.
        pages: from 0; None: all of them.
    """
    try:
        with tifffile.TiffFile(path) as file:
            said = file.pages.first.description
    except Exception:  # of another program, or damaged: it is done again
        return False
    return (said if said.startswith(_PAGES) else "") == (_in_words(pages) or "")


_PAGES = "prompttune: pages "


def _in_words(pages: Sequence[int] | None) -> str | None:
    return None if pages is None else _PAGES + ",".join(str(page + 1) for page in pages)


def _colormap(palette: Palette) -> np.ndarray:
    """Return TIFF's table of colors, `3 x 256 uint16`; indices beyond the classes are black."""
    table = np.zeros((3, 256), np.uint16)
    colors = np.array(palette.colors, np.uint16).T * np.uint16(257)
    table[:, 1 : 1 + colors.shape[1]] = colors
    return table
