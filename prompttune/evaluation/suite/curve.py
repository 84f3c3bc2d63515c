"""A learning curve: what backbones score against the training samples that they have seen."""

import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from prompttune.evaluation.plot import draw_lines
from prompttune.utils.io import write_whole

CSV, PNG = "curve.csv", "curve.png"
ROW = "one-shot"


def write_curve(folder: Path, content: dict[str, Any]) -> None:
    """Write `curve.csv`, one line a backbone, set and row, and `curve.png`, one-shot scores.

    Args:
        folder: of the run.
        content: of `scores.json`, with `samples` in each backbone.
    """
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("samples", "backbone", "set", "row", "mean", "sd"))
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in sorted(content["backbones"], key=lambda one: one["samples"]):
        for name, scored in one["sets"].items():
            for row, value in scored["rows"].items():
                table.writerow((one["samples"], one["name"], name, row, value["mean"], value["sd"]))
                if row == ROW and value["mean"] is not None:
                    lines.setdefault(name, []).append((one["samples"], value["mean"]))
    write_whole(folder / CSV, text.getvalue())
    buffer = BytesIO()
    draw_lines(lines, f"samples seen ({ROW})").save(buffer, format="PNG")
    write_whole(folder / PNG, buffer.getvalue())
