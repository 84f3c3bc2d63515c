"""The page of a zoo: which scores it sets beside each other, and that names are escaped."""

from dataclasses import replace
from typing import Any

from hostile import HOSTILE, Faults

from prompttune.keys.card import ScoreRow, Scores
from prompttune.prompts.palette import Palette
from prompttune.zoo.gallery_page import (
    Learned,
    Prediction,
    ShownKey,
    before_and_after,
    css,
    render_gallery,
)


def row(mode: str, dice: float | None) -> ScoreRow:
    return ScoreRow(mode=mode, dice=dice, iou=None)


def scores(*rows: ScoreRow) -> Scores:
    return Scores(data="d", split="test", command="c", rows=rows)


def test_the_last_scores_with_both_rows_count(make: Any) -> None:
    _, card = make()
    first = scores(row("one-shot", 0.1), row("tuned", 0.2))
    second = scores(row("one-shot", 0.3), row("tuned", 0.4))
    alone = scores(row("tuned", 0.9))
    pair = before_and_after(card.model_copy(update={"scores": (first, second, alone)}))
    assert pair is not None
    assert [each.dice for each in pair] == [0.3, 0.4]
    assert before_and_after(card.model_copy(update={"scores": (alone,)})) is None


def test_names_are_escaped_and_gains_are_said(make: Any) -> None:
    _, card = make()
    both = scores(row("one-shot", 0.25), row("tuned", 0.5))
    card = card.model_copy(update={"scores": (both,), "notes": "<b>mine</b>", "task": "a & b"})
    shown = ShownKey("retina", card, (), (), "nothing <yet>", {})
    page = render_gallery([shown], ["damaged <key>"])
    assert "<b>mine" not in page
    assert "a &amp; b" in page
    assert "damaged &lt;key&gt;" in page
    assert "nothing &lt;yet&gt;" in page
    assert "Dice 0.250 with one example, 0.500 with the key (+0.250)" in page
    assert "2 keys" in render_gallery([shown, replace(shown, name="other")], [])


def test_colors_as_css_writes_them() -> None:
    assert css((255, 0, 17)) == "#ff0011"


def test_nothing_in_a_card_becomes_a_script_or_loads_from_elsewhere(make: Any) -> None:
    _, card = make()
    classes = tuple(each.model_copy(update={"name": HOSTILE}) for each in card.classes)
    backbone = card.backbone.model_copy(update={"name": HOSTILE})
    told = Scores(data=HOSTILE, split=HOSTILE, command=HOSTILE, rows=(row(HOSTILE, 0.5),))
    changed = {
        "name": HOSTILE, "task": HOSTILE, "notes": HOSTILE, "licence": HOSTILE, "classes": classes,
        "backbone": backbone, "scores": (told,), "recipe": {HOSTILE: HOSTILE},
    }  # fmt: skip
    colors = Palette((HOSTILE,), ((255, 0, 0),))
    path = f"pictures/{HOSTILE}.png"
    shown = ShownKey(
        HOSTILE, card.model_copy(update=changed), (Learned(path, path, colors),),
        (Prediction(path, HOSTILE),), HOSTILE, {"#ff0000": HOSTILE},
    )  # fmt: skip
    faults = Faults(render_gallery([shown], [HOSTILE]))
    assert not faults.found
    assert faults.text.count(HOSTILE) >= 12
