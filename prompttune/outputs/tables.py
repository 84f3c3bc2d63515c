"""Tables of a folder of results, one CSV each: areas, and how far answers can be trusted.

Later runs into the folder add to them.

Lines are kept in a hidden file as soon as they are known, so that a run that is killed loses none:
the next run into the folder takes them over.
"""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prompttune.outputs.outlines import Shape, center_line_length, find_shapes
from prompttune.utils.io import whole_file

if TYPE_CHECKING:
    from prompttune.outputs.formats import Answer

Row = Mapping[str, Any]
_END = "end"
"""The last cell of a kept line: without it the line is not whole."""
_TELLING = ("image", "page", "class")
"""Heads whose values no two lines share."""


def keep_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Keep lines beside a CSV until it is written.

    Args:
        path: of the CSV; its folder is there.
        columns: the heads, `image` among them.
        rows: from heads to values.
    """
    if not rows:
        return
    text = io.StringIO(newline="")
    text.write("\r\n")  # a line that broke off must not swallow the first of these
    csv.writer(text).writerows([*(row[head] for head in columns), _END] for row in rows)
    with _hidden(path).open("ab") as file:
        file.write(text.getvalue().encode())


def update_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write lines of images into a CSV, whole or not at all; lines of other images stay.

    Args:
        path: of the file. One with other columns is replaced.
        columns: the heads, `image` among them.
        rows: from heads to values; without any, kept ones included, nothing is written.
    """
    kept = _kept(_hidden(path), columns)
    if not (kept or rows):
        return
    newer = {str(row["image"]) for row in (*kept, *rows)}
    new = {str(row["image"]) for row in rows}
    earlier = [row for row in _earlier(path, columns) if row["image"] not in newer]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns)
    table.writeheader()
    table.writerows([*earlier, *(row for row in kept if row["image"] not in new), *rows])
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
    _hidden(path).unlink(missing_ok=True)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _earlier(path: Path, columns: Sequence[str]) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        return list(table) if tuple(table.fieldnames or ()) == tuple(columns) else []


def _kept(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read whole lines; of two that tell of one thing the later counts."""
    if not path.is_file():
        return []
    found: dict[tuple[str, ...], Row] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for cells in csv.reader(file):
            if len(cells) == len(columns) + 1 and cells[-1] == _END:
                row = dict(zip(columns, cells, strict=False))
                of = tuple(row.get(head, "") for head in _TELLING)
                found.pop(of, None)
                found[of] = row
    return list(found.values())


class _Table:
    """Collects lines of all images, and writes them as one CSV."""

    name: ClassVar[str]
    """Of the file."""
    columns: ClassVar[tuple[str, ...]]
    """Its heads."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._kept = 0

    def keep(self, folder: Path) -> None:
        """Keep the lines that are new in the folder, for the case that the run is killed."""
        new, self._kept = self._rows[self._kept :], len(self._rows)
        keep_rows(folder / self.name, self.columns, new)

    def write(self, folder: Path) -> None:
        """Write the table into a folder; lines of other images that it had stay."""
        update_table(folder / self.name, self.columns, self._rows)


class AreaTable(_Table):
    """The areas of all images, one line a class."""

    name = "areas.csv"
    columns = (
        "image", "page", "class", "things", "pixels", "share", "area", "unit", "length",
        "length_unit",
    )  # fmt: skip

    def add(self, answer: "Answer") -> None:
        """Add a line for each class of an answer."""
        shapes = list(find_shapes(answer.class_map, answer.least_area))
        covered, unit = answer.pixel_area
        sides, length_unit = answer.pixel
        for number, name in enumerate(answer.palette.classes, 1):
            own = [shape for shape in shapes if shape.number == number]
            pixels = sum(shape.area for shape in own)
            self._rows.append(
                {
                    "image": answer.image.as_posix(),
                    "page": answer.page,
                    "class": name,
                    "things": len(own),
                    "pixels": pixels,
                    "share": round(pixels / answer.class_map.size, 6),
                    "area": pixels if unit == "pixels" else pixels * covered,
                    "unit": unit,
                    "length": round(_length(own, sides), 4),
                    "length_unit": length_unit,
                }
            )


def _length(shapes: Sequence[Shape], pixel: tuple[float, float]) -> float:
    """Return the length of the center lines of things."""
    return sum(center_line_length(shape.mask, pixel) for shape in shapes)


class ReliabilityTable(_Table):
    """How far the answers of a run can be trusted, one line an image."""

    name = "reliability.csv"
    columns = ("image", "page", "expected_dice", "confidence", "unlikeness", "in_domain")

    def __init__(self) -> None:
        super().__init__()
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
        self._rows.append(dict(zip(self.columns, row, strict=True)))

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
        return f"{said}Image by image: {self.name}"
