"""Tables of a folder of results, one CSV each, which later runs into the folder add to.

Lines are kept in a hidden file as soon as they are known, so that a run that is killed loses none:
the next run into the folder takes them over.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prompttune.utils.io import whole_file

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
