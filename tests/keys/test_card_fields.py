"""The parts of a card check themselves."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from prompttune.keys.card_fields import (
    CalibrationFields,
    CardClass,
    KeptTokens,
    Line,
    Scores,
    Utc,
)

RISING = tuple(number / 32 for number in range(33))


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\x1b[31m", "x" * 1001])
def test_lines_are_printable(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(text)


def test_dates_are_kept_in_utc_and_whole_seconds() -> None:
    there = datetime(2026, 1, 1, 1, 2, 3, 999, tzinfo=timezone(timedelta(hours=2)))
    assert TypeAdapter(Utc).validate_python(there) == datetime(2025, 12, 31, 23, 2, 3, tzinfo=UTC)


def test_colors_are_bytes() -> None:
    assert CardClass(name="a", colour=(0, 255, 3)).colour == (0, 255, 3)
    with pytest.raises(ValidationError):
        CardClass(name="a", colour=(0, 256, 3))


@pytest.mark.parametrize("tokens", [(), ((),), ((1, 1),), ((2, 1),), ((1, 2), (1,)), ((-1,),)])
def test_kept_tokens_ascend_and_are_as_many_in_each_block(tokens: tuple) -> None:
    adapter = TypeAdapter(KeptTokens)
    assert adapter.validate_python([[1, 4], [0, 9]]) == ((1, 4), (0, 9))
    with pytest.raises(ValidationError):
        adapter.validate_python(tokens)


def test_curves_rise() -> None:
    known = {"dice": (0.0, 1.0), "crops": 4, "held_out": True}
    CalibrationFields(foreground=RISING, classes=RISING, **known)
    with pytest.raises(ValidationError, match="must not fall"):
        CalibrationFields(foreground=RISING, classes=RISING[::-1], **known)


def test_a_table_has_the_columns_that_a_row_fills() -> None:
    scores = Scores(
        data="d", split="test", command="c",
        rows=({"mode": "a", "dice": 0.5, "iou": None}, {"mode": "b", "dice": None, "iou": None}),
    )  # fmt: skip
    assert scores.table() == (["mode", "dice"], [["a", "0.500"], ["b", "-"]])
