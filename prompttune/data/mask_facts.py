"""What one mask holds, without its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from skimage.measure import label

from prompttune.data.mask_forms import Form, Stored, value_counts
from prompttune.data.masks import covers_areas, lie_on_areas, numbers_things

GRAYS = 32
"""More values than this are shades, not a list."""
_NOISE = 24


@dataclass(frozen=True)
class MaskFacts:
    """What one mask holds, without its pixels."""

    name: str
    form: Form
    size: tuple[int, int]
    """Width and height."""
    counts: dict[int, int] = field(repr=False)
    """Pixels of each stored value."""
    numbered: bool
    """Values are a run of integers on flat areas."""
    one_piece: bool
    """Each of these is one connected thing."""
    shades: bool
    """Values are many and lie along borders."""
    middle: float
    """Share of areas between black and white in what is not black, where there are shades."""
    areas: frozenset[int]
    """Grays between black and white that cover areas of their own."""
    scattered: bool
    """Values, white not among them, are several and no run, and each lies on areas."""

    palette: Mapping[int, int] = field(default_factory=dict)
    """Of a palette's indices that are used the colors."""
    rim: float = 0.0
    """Share of the outermost pixels that are above 0."""

    @property
    def shown(self) -> list[int]:
        """The values above 0, sorted."""
        return sorted(value for value in self.counts if value > 0)


def look_at(stored: Stored, name: str | Path) -> MaskFacts:
    """Describe what one mask holds."""
    values, counts = value_counts(stored.values)
    found = [int(value) for value in values]
    numbered = stored.form != "colors" and numbers_things(stored.values, found)
    shades = stored.form in ("gray", "alpha") and len(found) > GRAYS
    shades = shades and not numbered and not lie_on_areas(stored.values)
    grays = [value for value in found[:-1] if value > 0]
    scattered = (
        not numbered
        and not shades
        and stored.form not in ("colors", "alpha")
        and (len(grays) > 1 or (len(grays) == 1 and found[-1] > 2))
        and found[-1] not in (255, 65535)
        and lie_on_areas(stored.values)
    )
    one_piece = False
    if numbered or scattered:
        pieces = int(label(stored.values, background=0, connectivity=2).max())
        one_piece = pieces <= 1.1 * (len(found) - (found[0] == 0))
    few = stored.form not in ("colors", "indices") and 0 < len(grays) <= GRAYS and not numbered
    areas = frozenset(gray for gray in grays if covers_areas(stored.values, gray)) if few else ()
    height, width = stored.values.shape
    table = dict(zip(found, counts.tolist(), strict=True))
    return MaskFacts(
        str(name),
        stored.form,
        (width, height),
        table,
        numbered,
        one_piece,
        shades,
        _middle(stored.values) if shades else 0.0,
        frozenset(areas),
        scattered,
        stored.palette,
        _rim(stored.values),
    )


def _middle(values: np.ndarray) -> float:
    """Return how much of what is not black are areas of one gray, but for noise, below white."""
    gray = (values >> 8 if values.max() > 255 else values).astype(np.uint8)
    smooth = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) <= _NOISE
    between = (gray >= 48) & (gray <= 207)
    counts = np.bincount(gray[smooth & between], minlength=256)
    near = np.convolve(counts, np.ones(_NOISE), "same").max()  # a blur has no gray of its own
    if near < 0.6 * counts.sum():
        return 0.0
    return float(near / max(1, (gray >= 48).sum()))


def _rim(values: np.ndarray) -> float:
    inner = values[1:-1, 1:-1]
    count = values.size - inner.size
    return float(((values > 0).sum() - (inner > 0).sum()) / max(1, count))
