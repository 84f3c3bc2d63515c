"""The page of a comparison: one HTML file with its style inside, and pictures beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prompttune.utils.pages import render

MEASURES = {"dice": "Dice", "iou": "IoU", "auc": "AUC", "cldice": "clDice"}


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its path relative to the page, and what it shows."""

    path: str
    caption: str


def render_page(
    content: dict,
    lead: str,
    notices: Sequence[str],
    key: dict[str, str],
    pictures: list[Picture],
    chart: Picture | None = None,
) -> str:
    """Return the HTML page.

    Args:
        content: what `comparison.json` holds.
        lead: one sentence that says the result.
        notices: plain warnings, e.g. that the images are generated.
        key: colour of the pictures (CSS) -> its meaning.
        pictures: in the order of the page.
        chart: stands below the table.
    """
    more = reliability_columns(content["rows"])
    return render(
        "evaluation/comparison.html.jinja",
        title=f"{content['task']}: one example against the tuned prompt",
        content=content, lead=lead, notices=notices, key=key, pictures=pictures, chart=chart,
        heads=("row", "prompts", *MEASURES.values(), *more.values(), "seconds an image"),
        rows=[_cells(row, more) for row in content["rows"]],
    )  # fmt: skip


def format_score(value: float | None) -> str:
    """Return a score with three decimals, or a dash where it is not defined."""
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def format_dice(row: dict) -> str:
    """Return a row's Dice, with its standard deviation where it has one."""
    text = format_score(row["dice"])
    return text if row["dice_sd"] is None else f"{text} ± {format_score(row['dice_sd'])}"


def reliability_columns(rows: Sequence[dict]) -> dict[str, str]:
    """Return the columns that tell of calibrated keys, name to head; none without such a row."""
    named = {
        "ece_before": "ECE of scores", "ece": "ECE", "expected_dice_r": "r of expected Dice",
    }  # fmt: skip
    return named if any(row.get("ece") is not None for row in rows) else {}


def _cells(row: dict, more: Iterable[str]) -> dict[str, Any]:
    """Return what the table shows of a row."""
    measures = [name for name in MEASURES if name != "dice"]
    return {
        "mode": row["mode"],
        "prompts": row["prompts"],
        "share": f"{100 * (row['dice'] or 0):.1f}%",
        "dice": format_dice(row),
        "measures": [format_score(row[name]) for name in (*measures, *more)],
        "seconds": f"{row['seconds_per_image']:.2f}",
    }
