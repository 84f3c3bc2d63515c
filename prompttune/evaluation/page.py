"""The page of a comparison: one HTML file with its style inside, and pictures beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

STYLE = """
:root { color-scheme: light dark; --ink: #1c1f26; --soft: #5d6472; --paper: #fafaf8; --card: #fff;
  --line: #e3e4e0; --bar: #d9e6f2; --mark: #0b5c94; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaef; --soft: #9aa1af; --paper: #14161b;
  --card: #1c1f26; --line: #2f333c; --bar: #24405a; --mark: #7cc0f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 2.5rem 1.5rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .8rem; }
p { max-width: 75ch; margin: .5rem 0; }
.soft, figcaption, th { color: var(--soft); }
.notice { border-left: 4px solid #e69f00; padding: .5rem .9rem; background: var(--card); }
.lead { font-size: 1.1rem; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; margin: 1.2rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem .9rem; text-align: right; white-space: nowrap; }
th { font-weight: 500; font-size: .85rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tr + tr td { border-top: 1px solid var(--line); }
tr.tuned td { font-weight: 650; color: var(--mark); }
td.dice { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share));
  min-width: 11rem; }
figure { margin: 0 0 1.6rem; }
figure img { width: 100%; height: auto; display: block; border-radius: 8px; }
.chart { max-width: 760px; margin-top: 1.6rem; }
figcaption { font-size: .88rem; margin-top: .35rem; }
code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere; }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 .9em;
  border: 1px solid var(--soft); border-radius: 2px; }
"""


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
    title = f"{content['task']}: one example against the tuned prompt"
    swatches = "".join(
        f'<span style="background: {escape(colour)}"></span>{escape(meaning)}'
        for colour, meaning in key.items()
    )
    facts = (
        f"{content['backbone']} · {content['data']} · {content['split']} · {len(pictures)} images"
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(facts)}</p>',
        *(f'<p class="notice">{escape(notice)}</p>' for notice in notices),
        f'<p class="lead">{escape(lead)}</p>' if lead else "",
        _table(content["rows"]),
        f'<p class="soft">{escape(content["scoring"])}</p>',
        f"<p><code>{escape(content['command'])}</code></p>" if content.get("command") else "",
        f'<div class="chart">{_figure(chart)}</div>' if chart else "",
        "<h2>Pictures</h2>",
        f'<p class="key soft">{swatches}</p>',
        *(_figure(picture) for picture in pictures),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


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


def _table(rows: Sequence[dict]) -> str:
    more = reliability_columns(rows)
    heads = ("row", "prompts", "Dice", "IoU", "AUC", "clDice", *more.values(), "seconds an image")
    lines = [f"<th>{head}</th>" for head in heads]
    body = []
    for row in rows:
        mark = ' class="tuned"' if row["mode"] == "tuned" else ""
        share = f"{100 * (row['dice'] or 0):.1f}%"
        cells = [
            f"<td>{escape(row['mode'])}</td>",
            f"<td>{row['prompts']}</td>",
            f'<td class="dice" style="--share: {share}">{format_dice(row)}</td>',
            *(f"<td>{format_score(row[name])}</td>" for name in ("iou", "auc", "cldice", *more)),
            f"<td>{row['seconds_per_image']:.2f}</td>",
        ]
        body.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table>\n<thead><tr>{"".join(lines)}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(body)}\n</tbody></table></div>"
    )


def _figure(picture: Picture) -> str:
    path, caption = escape(quote(picture.path)), escape(picture.caption)
    return (
        f'<figure><a href="{path}"><img src="{path}" alt="{caption}" loading="lazy"></a>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
