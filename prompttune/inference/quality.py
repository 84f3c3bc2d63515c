"""How much work an answer may take: from a quick look to the best that a prompt can do."""

from dataclasses import dataclass
from typing import Any

from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class Quality:
    """How windows are laid, and how often each is answered.

    Raises:
        InputError: an overlap or a zoom out of its range, or no zoom at all.
    """

    overlap: float = 0.25
    """Share of a window that its neighbor covers as well, 0 to 0.9."""
    flips: bool = False
    """Whether each is answered upright and mirrored, 4 times."""
    zooms: tuple[float, ...] = (1.0,)
    """At which the image is answered, of the prompt's own scale; the mean counts."""

    def __post_init__(self) -> None:
        check("overlap", self.overlap)
        if not self.zooms:
            raise InputError("zooms: give at least one")
        for zoom in self.zooms:
            check("zoom", zoom)

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments of these names that `Segmenter.predict` and `stream` take."""
        return vars(self).copy()


USUAL = Quality()
FAST = Quality(0.125)
# Flips and a larger overlap gain less for more work: see docs/predict.md.
BEST = Quality(0.25, False, (0.7, 0.8, 1.0, 1.25, 1.4))
QUALITIES = {"fast": FAST, "best": BEST}
