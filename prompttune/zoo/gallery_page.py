"""The gallery's page: one HTML file with its style inside, pictures beside it, no script."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prompttune.evaluation.page import format_score
from prompttune.keys.card import Card, ScoreRow, Scores
from prompttune.prompts.palette import Palette
from prompttune.utils.pages import render

MARK = '<meta name="generator" content="prompttune gallery">'
"""Tells a gallery from other pages."""

_HEADS = {
    "mode": "row", "dice": "Dice", "dice_sd": "its sd", "iou": "IoU", "auc": "AUC",
    "cldice": "clDice", "ece_before": "ECE of scores", "ece": "ECE",
    "expected_dice_r": "r of expected Dice", "seconds_per_image": "seconds an image",
}  # fmt: skip
"""How a score is called where people read it."""


@dataclass(frozen=True)
class Learned:
    """The pictures of one learned prompt: its image and its colors, and the classes they mean."""

    image: str
    colors: str
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
    """Color of the predictions (CSS) -> its meaning."""


def render_gallery(keys: Sequence[ShownKey], problems: Sequence[str]) -> str:
    """Return the HTML page; `problems` are those of keys that cannot be read."""
    keys_shown = [_shown(key) for key in keys]
    return render("zoo/gallery.html.jinja", keys=keys_shown, problems=problems)


def css(color: tuple[int, int, int]) -> str:
    """Return a color as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def before_and_after(card: Card) -> tuple[ScoreRow, ScoreRow] | None:
    """Return the rows `one-shot` and `tuned` of the last scores that have both."""
    for scores in reversed(card.scores):
        rows = {row.mode: row for row in scores.rows}
        if {"one-shot", "tuned"} <= rows.keys():
            return rows["one-shot"], rows["tuned"]
    return None


def _shown(key: ShownKey) -> dict[str, Any]:
    """Return what the template shows of a key."""
    card = key.card
    classes = [entry.name for entry in card.classes]
    size = f"{card.prompts} x {card.canvas} x {card.canvas}"
    return {
        "name": key.name,
        "card": card,
        "classes": ", ".join(classes[:4]) + f" and {len(classes) - 4} more" * (len(classes) > 4),
        "dice": [_dice(row) for row in before_and_after(card) or (None, None)],
        "about": f"{card.task} · {card.backbone.name} · {size} pixels · threshold "
        f"{card.threshold:.3g}",
        "gain": _gain(card),
        "learned": [_learned(each) for each in key.learned],
        "scores": [_scores(each) for each in card.scores],
        "about_predictions": key.about_predictions,
        "key": key.key,
        "predictions": key.predictions,
        "making": _making(card),
        "recipe": json.dumps(card.recipe, indent=1, sort_keys=True, ensure_ascii=False),
    }


def _gain(card: Card) -> str:
    pair = before_and_after(card)
    if pair is None or None in (pair[0].dice, pair[1].dice):
        return ""
    before, after = pair[0].dice or 0.0, pair[1].dice or 0.0
    gained = f"{format_score(after)} with the key ({after - before:+.3f})"
    return f"Dice {format_score(before)} with one example, {gained}."


def _learned(learned: Learned) -> dict[str, Any]:
    named = zip(learned.palette.colors, learned.palette.classes, strict=True)
    chips = {css(color): name for color, name in named}
    return {"image": learned.image, "colors": learned.colors, "chips": chips}


def _scores(scores: Scores) -> dict[str, Any]:
    head, rows = scores.table()
    cells = zip(scores.rows, rows, strict=True)
    return {
        "data": scores.data,
        "split": scores.split,
        "command": scores.command,
        "heads": [_HEADS.get(each, each) for each in head],
        "rows": [{"tuned": row.mode == "tuned", "cells": shown} for row, shown in cells],
    }


def _making(card: Card) -> list[tuple[str, str, bool]]:
    """Return names and facts of how a key was made, and whether each is code."""
    data = card.data
    generated = "generated images" if data.generated else data.layout
    made = next((one.command for one in card.scores if "prompttune.fit" in one.command), None)
    scale = (
        "images fitted whole"
        if card.scale is None
        else f"{card.scale:g} canvas pixels an image pixel"
    )
    facts = [
        ("command", made or "not in the card", made is not None),
        ("tuned on", f"{data.train} images, chosen on {data.val} others; {generated}", False),
        ("their SHA-256", data.sha256, True),
        ("started from", card.initialisation.kind, False),
        ("backbone", f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}", False),
        ("scale", scale, False),
        ("license", card.licence, False),
        ("made", f"{card.date:%Y-%m-%d}, prompttune {card.library_version}", False),
    ]
    if card.tuning:
        took = f"{card.tuning.seconds:.0f} s, {card.tuning.precision}"
        facts.append(("tuning took", took, False))
    return facts


def _dice(row: ScoreRow | None) -> str:
    if row is None:
        return "-"
    spread = "" if row.dice_sd is None else f" ± {format_score(row.dice_sd)}"
    return format_score(row.dice) + spread
