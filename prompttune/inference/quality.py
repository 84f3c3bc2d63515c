"""How much work an answer may take: from a quick look to the best that a prompt can do."""

from collections.abc import Sequence
from dataclasses import dataclass

from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class Quality:
    """How windows are laid, and how often each is answered."""

    overlap: float
    """Share of a window that its neighbor covers as well."""
    flips: bool
    """Whether each is answered upright and mirrored, 4 times."""
    zooms: tuple[float, ...] = (1.0,)
    """At which the image is answered, of the prompt's own scale; the mean counts."""


FAST = Quality(0.125, False)
# Flips and a larger overlap gain less for more work: see docs/predict.md.
BEST = Quality(0.25, False, (0.7, 0.8, 1.0, 1.25, 1.4))
QUALITIES = {"fast": FAST, "best": BEST}


def check_zooms(zooms: Sequence[float]) -> None:
    """Refuse zooms that ask for nothing or for too much.

    Raises:
        InputError: none at all, or one that is not above 0 and at most 4.
    """
    if not zooms:
        raise InputError("zooms: give at least one")
    for zoom in zooms:
        check("zoom", zoom)
