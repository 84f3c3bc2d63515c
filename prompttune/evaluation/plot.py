"""Lines of scores over anything that grows: samples, images, seconds.

Drawn by Pillow: where Matplotlib is installed, torchmetrics imports it as well, so that every
tuning begins 0.6 s of computing later (2.6 s against 2.0 s for `import torchmetrics`), and 69 MB
more are to be installed, for two pictures that few ask for.
"""

import math
from collections.abc import Mapping, Sequence

from PIL import Image

from prompttune.utils.contact_sheet import Written

COLORS = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Okabe and Ito's, told apart by color-blind readers."""
WIDTH, HEIGHT, MARGIN, LEGEND, FONT_SIZE = 760, 420, 48, 150, 14
Line = Sequence[tuple[float, float]]


def draw_lines(lines: Mapping[str, Line], label: str) -> Image.Image:
    """Draw each line, points of (x above 0, score in [0, 1]), over the logarithm of x.

    Args:
        lines: by name, for the legend.
        label: of the x axis.
    """
    sheet = Written((WIDTH, HEIGHT), font_size=FONT_SIZE)
    seen = sorted({x for line in lines.values() for x, _ in line})
    low, high = (math.log(seen[0]), math.log(seen[-1])) if seen else (0.0, 0.0)
    right, bottom = WIDTH - LEGEND, HEIGHT - MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log(x) - low) / (high - low) if high > low else 0.5
        return MARGIN + share * (right - MARGIN), bottom - y * (bottom - MARGIN / 2)

    for tenths in range(0, 11, 2):
        level = place(seen[0] if seen else 1, tenths / 10)[1]
        sheet.draw.line((MARGIN, level, right, level), fill=(70, 74, 84))
        sheet.text(f"{tenths / 10:.1f}", (MARGIN - 8, level), anchor="rm")
    for text, x, anchor in _ticks(seen):
        sheet.text(text, (place(x, 0)[0], bottom + 8), anchor=anchor)
    sheet.text(label, ((MARGIN + right) / 2, HEIGHT - 4), anchor="md")
    for number, (name, line) in enumerate(lines.items()):
        color = COLORS[number % len(COLORS)]
        points = [place(x, y) for x, y in line]
        sheet.draw.line(points, fill=color, width=2)
        for x, y in points:
            sheet.draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
        top = MARGIN / 2 + number * (FONT_SIZE + 8)
        sheet.text(name, (right + 14, top), anchor="lt", ink=color)
    return sheet.image


def _ticks(seen: Sequence[float]) -> Sequence[tuple[str, float, str]]:
    """Return text, samples and anchor of the first and the last point: others might overlap."""
    if len(seen) < 2:
        return [(_short(x), x, "mt") for x in seen]
    return [(_short(seen[0]), seen[0], "lt"), (_short(seen[-1]), seen[-1], "rt")]


def _short(count: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"
