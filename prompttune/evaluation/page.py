"""The page of a comparison: one HTML file with its style inside, and pictures beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.evaluation.metrics import counted_pixels
from prompttune.prompts.palette import Palette
from prompttune.utils.contact_sheet import Written, resize, write_png
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
        key: color of the pictures (CSS) -> its meaning.
        pictures: in the order of the page.
        chart: stands below the table.
    """
    more = reliability_columns(content["rows"])
    return render(
        "evaluation/comparison.html.jinja",
        title=f"{content['task']}: one example against the tuned key",
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


# Okabe and Ito's orange and sky blue: told apart by color-blind readers, and from white and black.
HIT, MISSED, FALSE = (255, 255, 255), (230, 159, 0), (86, 180, 233)
NOT_COUNTED = (44, 47, 54)
STRIP, GAP, FONT_SIZE = 34, 6, 17
NARROWEST, WIDEST = 320, 640


def color_answer(
    predicted: np.ndarray, truth: np.ndarray, field_of_view: np.ndarray | None, palette: Palette
) -> np.ndarray:
    """Color a class map for the reader.

    With one class the colors tell hits (white), missed (orange) and false (blue) pixels apart;
    with several they are the palette's. Pixels that are not counted are dark gray.

    Args:
        predicted: `H x W uint8` class map.
        truth: `H x W uint8` class map; given twice, it shows the truth itself.
        field_of_view: `H x W bool` or None.
        palette: the task's classes and colors.

    Returns:
        `H x W x 3 uint8`.
    """
    if len(palette.classes) == 1:
        colors = np.zeros((2, 2, 3), np.uint8)
        colors[1, 1], colors[0, 1], colors[1, 0] = HIT, MISSED, FALSE
        painted = colors[(predicted == 1).astype(int), (truth == 1).astype(int)]
    else:
        table = np.zeros((256, 3), np.uint8)
        table[1 : len(palette.colors) + 1] = palette.colors
        painted = table[predicted]
    painted[~counted_pixels(truth, field_of_view)] = NOT_COUNTED
    return painted


def save_picture(path: Path, panels: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write labeled panels of one size, each `H x W x 3 uint8`, side by side as PNG."""
    height, width = panels[0][1].shape[:2]
    factor = min(WIDEST / max(height, width), 1)
    if width * factor < NARROWEST:
        factor = float(-(-NARROWEST // width))
    height, width = round(height * factor), round(width * factor)
    sheet = Written(((width + GAP) * len(panels) + GAP, height + STRIP + GAP), font_size=FONT_SIZE)
    for index, (label, image) in enumerate(panels):
        left = GAP + index * (width + GAP)
        sheet.paste(resize(image, (width, height)), (left, STRIP))
        sheet.text(label, (left + 4, STRIP // 2), width - 8)
    write_png(path, sheet.image)
