"""The page of a comparison as a reader's browser takes it apart."""

from html.parser import HTMLParser

import numpy as np
import pytest
from hostile import HOSTILE, Faults

from prompttune.evaluation.page import (
    FALSE,
    HIT,
    MISSED,
    NOT_COUNTED,
    Picture,
    color_answer,
    format_dice,
    format_score,
    reliability_columns,
    render_page,
)
from prompttune.prompts.palette import Palette

ROW = {
    "mode": "tuned", "prompts": 1, "dice": 0.75, "dice_sd": None, "iou": 0.6, "auc": None,
    "cldice": float("nan"), "seconds_per_image": 0.125,
}  # fmt: skip
CONTENT = {
    "task": "<retina>", "backbone": "small", "data": "folder", "split": "test",
    "rows": [ROW, ROW | {"mode": "one-shot", "dice": None}], "scoring": "All alike.",
    "command": "prompttune compare --task 'a & b'",
}  # fmt: skip


class Read(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.text, self.sources = "", []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        self.sources += [value for name, value in attrs if name == "src"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        if "style" not in self.open:
            self.text += data


def test_text_is_escaped_and_every_tag_is_closed() -> None:
    pictures = [Picture("pictures/a b.png", '"<b>"')]
    read = Read(render_page(CONTENT, "Gains.", ["<generated>"], {"red": "missed"}, pictures))
    assert not read.open
    for said in ("<retina>: one example", "<generated>", "Gains.", "'a & b'", '"<b>"', "missed"):
        assert said in read.text
    assert read.sources == ["pictures/a%20b.png"]
    heads = ["row", "prompts", "Dice", "IoU", "AUC", "clDice", "seconds an image"]
    assert read.cells[:7] == heads
    assert read.cells[7:14] == ["tuned", "1", "0.750", "0.600", "-", "-", "0.12"]
    assert read.cells[16] == "-"


def test_a_chart_stands_there_where_rows_were_trained() -> None:
    page = render_page(CONTENT, "", [], {}, [], Picture("learning.png", "Dice"))
    assert Read(page).sources == ["learning.png"]


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (None, "-"), (float("nan"), "-")])
def test_scores_have_three_decimals(value: float | None, text: str) -> None:
    assert format_score(value) == text


def test_deviations_and_calibration_are_shown_where_they_are() -> None:
    assert format_dice({"dice": 0.5, "dice_sd": 0.01}) == "0.500 ± 0.010"
    assert reliability_columns([ROW]) == {}
    assert list(reliability_columns([ROW, {"ece": 0.1}])) == [
        "ece_before", "ece", "expected_dice_r",
    ]  # fmt: skip


def test_hits_misses_and_false_pixels_have_their_colors():
    truth = np.array([[1, 1, 0, 0, 255, 1]], np.uint8)
    predicted = np.array([[1, 0, 1, 0, 1, 1]], np.uint8)
    view = np.array([[True] * 5 + [False]])
    painted = color_answer(predicted, truth, view, Palette.of(["vessel"]))
    assert [tuple(pixel) for pixel in painted[0]] == [
        HIT, MISSED, FALSE, (0, 0, 0), NOT_COUNTED, NOT_COUNTED,
    ]  # fmt: skip


def test_several_classes_keep_the_colors_of_the_palette():
    palette = Palette.of(["a", "b"])
    predicted = np.array([[0, 1, 2, 2]], np.uint8)
    painted = color_answer(predicted, np.array([[0, 2, 2, 255]], np.uint8), None, palette)
    assert [tuple(pixel) for pixel in painted[0]] == [(0, 0, 0), *palette.colors, NOT_COUNTED]


def test_nothing_in_a_comparison_becomes_a_script_or_loads_from_elsewhere() -> None:
    hostile = {name: value if name == "rows" else HOSTILE for name, value in CONTENT.items()} | {
        "rows": [ROW | {"mode": HOSTILE, "prompts": HOSTILE}]
    }
    picture = Picture(f"pictures/{HOSTILE}.png", HOSTILE)
    page = render_page(hostile, HOSTILE, [HOSTILE], {"#ff0000": HOSTILE}, [picture], picture)
    faults = Faults(page)
    assert not faults.found
    assert faults.text.count(HOSTILE) >= 10
