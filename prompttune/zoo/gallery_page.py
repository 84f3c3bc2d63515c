"""The gallery's page: one HTML file with its style inside, pictures beside it, no script."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from prompttune.evaluation.page import STYLE, format_score
from prompttune.keys.card import Card, ScoreRow, Scores
from prompttune.prompts.palette import Palette

MARK = '<meta name="generator" content="prompttune gallery">'
"""Tells a gallery from other pages."""
OWN_STYLE = """
h2 { font-size: 1.4rem; border-top: 1px solid var(--line); padding-top: 2rem; margin-top: 3.5rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .6rem; }
a { color: var(--mark); }
td { white-space: normal; vertical-align: top; }
td.text, th.text { text-align: left; }
td.text { overflow-wrap: anywhere; }
.learned { display: flex; flex-wrap: wrap; gap: 1rem; }
.learned figure { margin: 0; }
.learned img { width: 224px; height: 224px; image-rendering: pixelated; border-radius: 8px; }
.notes { white-space: pre-line; }
.chip { display: inline-block; margin: 0 1.1em .3em 0; }
.chip span { display: inline-block; width: .9em; height: .9em; margin-right: .4em;
  border: 1px solid var(--soft); border-radius: 2px; vertical-align: -.05em; }
pre { overflow-x: auto; font: .82rem/1.45 ui-monospace, monospace; }
"""


_HEADS = {
    "mode": "row", "dice": "Dice", "dice_sd": "its sd", "iou": "IoU", "auc": "AUC",
    "cldice": "clDice", "ece_before": "ECE of scores", "ece": "ECE",
    "expected_dice_r": "r of expected Dice", "seconds_per_image": "seconds an image",
}  # fmt: skip
"""How a score is called where people read it."""


@dataclass(frozen=True)
class Learned:
    """The pictures of one learned prompt: its image and its colours, and the classes they mean."""

    image: str
    colours: str
    palette: Palette


@dataclass(frozen=True)
class Prediction:
    """A picture of an image, its truth and the key's answer."""

    path: str
    caption: str


@dataclass(frozen=True)
class ShownKey:
    """What the page shows of a key; paths are relative to the page."""

    name: str
    card: Card
    learned: Sequence[Learned]
    predictions: Sequence[Prediction]
    about_predictions: str
    """What was segmented, or why nothing was."""
    key: dict[str, str]
    """Colour of the predictions (CSS) -> its meaning."""


def render_gallery(keys: Sequence[ShownKey], problems: Sequence[str]) -> str:
    """Return the HTML page; `problems` are those of keys that cannot be read."""
    count = "One key" if len(keys) == 1 else f"{len(keys)} keys"
    body = [
        "<h1>Keys</h1>",
        f'<p class="soft">{count}: learned prompts for a frozen SegGPT, each for one task.</p>',
        *(f'<p class="notice">{escape(problem)}</p>' for problem in problems),
        _overview(keys) if keys else "",
        *(_section(key) for key in keys),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Keys</title>\n<style>{STYLE}{OWN_STYLE}</style>\n</head>\n"
        f"<body>\n{_joined(body)}\n</body>\n</html>\n"
    )


def css(colour: tuple[int, int, int]) -> str:
    """Return a colour as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def before_and_after(card: Card) -> tuple[ScoreRow, ScoreRow] | None:
    """Return the rows `one-shot` and `tuned` of the last scores that have both."""
    for scores in reversed(card.scores):
        rows = {row.mode: row for row in scores.rows}
        if {"one-shot", "tuned"} <= rows.keys():
            return rows["one-shot"], rows["tuned"]
    return None


def _overview(keys: Sequence[ShownKey]) -> str:
    rows = []
    for key in keys:
        card, pair = key.card, before_and_after(key.card)
        classes = [entry.name for entry in card.classes]
        listed = ", ".join(classes[:4]) + (f" and {len(classes) - 4} more" * (len(classes) > 4))
        cells = [
            f'<a href="#{escape(key.name)}">{escape(key.name)}</a>',
            *(escape(text) for text in (card.task, listed, card.backbone.name)),
            *(_dice(row) for row in pair or (None, None)),
        ]
        rows.append(cells)
    heads = ("key", "task", "classes", "backbone", "Dice of one example", "of the key")
    return _table(heads, rows, text=(1, 2, 3))


def _section(key: ShownKey) -> str:
    card = key.card
    size = f"{card.prompts} x {card.canvas} x {card.canvas}"
    facts = f"{card.task} · {card.backbone.name} · {size} pixels · threshold {card.threshold:.3g}"
    parts = [
        f'<h2 id="{escape(key.name)}">{escape(key.name)}</h2>',
        f'<p class="soft">{escape(facts)}</p>',
        _warning(card),
        _gain(card),
        *(_learned(learned) for learned in key.learned),
        "<h3>Scores</h3>" if card.scores else '<p class="soft">No scores in its card.</p>',
        *(_scores(scores) for scores in card.scores),
        "<h3>Predictions</h3>",
        f'<p class="soft">{escape(key.about_predictions)}</p>',
        _chips(key.key) if key.predictions else "",
        *(_prediction(one) for one in key.predictions),
        "<h3>How it was made</h3>",
        _making(card),
        f'<p class="notes">{escape(card.notes)}</p>' if card.notes else "",
        _recipe(card),
    ]
    return f"<section>\n{_joined(parts)}\n</section>"


def _warning(card: Card) -> str:
    if not card.initialisation.contains_real_image:
        return ""
    return (
        '<p class="notice">This key started from a real image and still contains it: share key and '
        "page only as that image may be shared.</p>"
    )


def _gain(card: Card) -> str:
    pair = before_and_after(card)
    if pair is None or None in (pair[0].dice, pair[1].dice):
        return ""
    before, after = pair[0].dice or 0.0, pair[1].dice or 0.0
    return (
        f'<p class="lead">Dice {format_score(before)} with one example, {format_score(after)} with '
        f"the key ({after - before:+.3f}).</p>"
    )


def _learned(learned: Learned) -> str:
    pictures = [
        _figure(path, name, "")
        for path, name in ((learned.image, "learned image"), (learned.colours, "learned colours"))
    ]
    named = zip(learned.palette.colours, learned.palette.classes, strict=True)
    chips = _chips({css(colour): name for colour, name in named})
    return f'<div class="learned">{"".join(pictures)}</div>\n{chips}'


def _scores(scores: Scores) -> str:
    head, rows = scores.table()
    marks = [' class="tuned"' if row.mode == "tuned" else "" for row in scores.rows]
    heads = [_HEADS.get(each, each) for each in head]
    table = _table(heads, [[escape(cell) for cell in row] for row in rows], marks)
    facts = escape(f"{scores.data}, {scores.split}")
    return f'<p class="soft">{facts}</p>\n{table}\n<p><code>{escape(scores.command)}</code></p>'


def _making(card: Card) -> str:
    data = card.data
    generated = "generated images" if data.generated else data.layout
    made = next((one.command for one in card.scores if "prompttune.fit" in one.command), None)
    facts = {
        "command": f"<code>{escape(made)}</code>" if made else "not in the card",
        "tuned on": escape(f"{data.train} images, chosen on {data.val} others; {generated}"),
        "their SHA-256": f"<code>{data.sha256}</code>",
        "started from": escape(card.initialisation.kind),
        "backbone": escape(f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}"),
        "scale": "images fitted whole"
        if card.scale is None
        else f"{card.scale:g} canvas pixels an image pixel",
        "licence": escape(card.licence),
        "made": escape(f"{card.date:%Y-%m-%d}, prompttune {card.library_version}"),
    }
    if card.tuning:
        facts["tuning took"] = f"{card.tuning.seconds:.0f} s, {card.tuning.precision}"
    return _table(("", ""), [[name, value] for name, value in facts.items()], text=(1,))


def _recipe(card: Card) -> str:
    text = json.dumps(card.recipe, indent=1, sort_keys=True, ensure_ascii=False)
    return f"<details><summary>Recipe</summary><pre>{escape(text)}</pre></details>"


def _prediction(prediction: Prediction) -> str:
    return _figure(prediction.path, prediction.caption, prediction.caption)


def _figure(path: str, alt: str, caption: str) -> str:
    quoted = escape(quote(path))
    return (
        f'<figure><a href="{quoted}"><img src="{quoted}" alt="{escape(alt)}" loading="lazy"></a>'
        f"<figcaption>{escape(caption or alt)}</figcaption></figure>"
    )


def _chips(colours: dict[str, str]) -> str:
    chips = "".join(
        f'<span class="chip"><span style="background: {escape(colour)}"></span>{escape(name)}'
        "</span>"
        for colour, name in colours.items()
    )
    return f"<p>{chips}</p>"


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    marks: Sequence[str] = (),
    text: Sequence[int] = (),
) -> str:
    """Lay out cells that are HTML already.

    `marks` are attributes of the rows, `text` the columns that are set to the left.
    """

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="text"' if place in text else "" for place in range(len(cells)))
        return "".join(
            f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
        )

    body = "\n".join(
        f"<tr{mark}>{line('td', row)}</tr>"
        for row, mark in zip(rows, marks or [""] * len(rows), strict=True)
    )
    top = f"<thead><tr>{line('th', head)}</tr></thead>\n" if any(head) else ""
    return f'<div class="scroll"><table>\n{top}<tbody>\n{body}\n</tbody></table></div>'


def _dice(row: ScoreRow | None) -> str:
    if row is None:
        return "-"
    spread = "" if row.dice_sd is None else f" ± {format_score(row.dice_sd)}"
    return format_score(row.dice) + spread


def _joined(parts: Sequence[str]) -> str:
    return "\n".join(part for part in parts if part)
