"""A table of how far the answers of a run can be trusted, one line an image."""

import statistics
from pathlib import Path
from typing import Any

from prompttune.outputs.tables import keep_rows, update_table

TABLE = "reliability.csv"
_COLUMNS = ("image", "page", "expected_dice", "confidence", "unlikeness", "in_domain")


class ReliabilityTable:
    """Collects what is known of each answer, and writes it as one CSV."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._kept = 0
        self._hopeful = False

    def add(
        self,
        image: Path,
        page: int | None,
        expected_dice: float | None,
        confidence: float | None,
        unlikeness: float | None,
        held_out: bool = True,
    ) -> None:
        """Add an image, unless nothing is known of its answer.

        Args:
            image: its file.
            page: of a stack, counted from 1; None: it has but one.
            expected_dice: in [0, 1]; None: nothing was found, or it is not known.
            confidence: the mean over the pixels, in [0, 1]; None: not known.
            unlikeness: to the images of the key, at least 0; above 1 it is none of these.
            held_out: whether confidence was learned from images that tuning had not seen.
        """
        if confidence is None and unlikeness is None:
            return
        self._hopeful |= not held_out and confidence is not None
        alike = None if unlikeness is None else "yes" if unlikeness <= 1 else "no"
        numbers = (expected_dice, confidence, unlikeness)
        shown = ("" if value is None else f"{value:.4f}" for value in numbers)
        row = (image.as_posix(), "" if page is None else page, *shown, alike or "")
        self._rows.append(dict(zip(_COLUMNS, row, strict=True)))

    def keep(self, folder: Path) -> None:
        """Keep the lines that are new in the folder, for the case that the run is killed."""
        new, self._kept = self._rows[self._kept :], len(self._rows)
        keep_rows(folder / TABLE, _COLUMNS, new)

    def write(self, folder: Path) -> None:
        """Write the table into a folder; lines of other images that it had stay."""
        update_table(folder / TABLE, _COLUMNS, self._rows)

    def summary(self) -> str:
        """Return the run in a sentence or two; empty where nothing is known."""
        if not self._rows:
            return ""
        expected = [float(row["expected_dice"]) for row in self._rows if row["expected_dice"]]
        strange = [row for row in self._rows if row["in_domain"] == "no"]
        said = f"Expected Dice: {statistics.fmean(expected):.2f} in the mean. " if expected else ""
        if self._hopeful:
            said += "This is too hopeful: the key had no images to spare for checking it. "
        if strange:
            named = ", ".join(Path(row["image"]).name for row in strange[:3])
            more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
            said += f"Unlike the key's images, so doubtful: {named}{more}. "
        return f"{said}Image by image: {TABLE}"
