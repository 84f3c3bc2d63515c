"""How much work an answer may take: from a quick look to the best that a prompt can do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """How windows are laid, and how often each is answered."""

    overlap: float
    """Share of a window that its neighbor covers as well."""
    flips: bool
    """Whether each is answered upright and mirrored, 4 times."""


FAST = Quality(0.125, False)
BEST = Quality(0.5, True)
QUALITIES = {"fast": FAST, "best": BEST}
