"""Tables of a folder of results, one CSV each, which later runs into the folder add to."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prompttune.utils.io import whole_file


def update_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write lines of images into a CSV, whole or not at all; lines of other images stay.

    Args:
        path: of the file. One with other columns is replaced.
        columns: the heads, `image` among them.
        rows: from heads to values; without any, nothing is written.
    """
    if not rows:
        return
    new = {row["image"] for row in rows}
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns)
    table.writeheader()
    table.writerows(row for row in _earlier(path, columns) if row["image"] not in new)
    table.writerows(rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _earlier(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        return list(table) if tuple(table.fieldnames or ()) == tuple(columns) else []
