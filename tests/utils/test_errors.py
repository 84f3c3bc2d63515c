"""Warnings are told once where they are to be; suggestions name the nearest."""

import logging

import pytest

from prompttune.utils.errors import InputError, forget_warnings, suggest, warn


def test_one_name_is_told_once_until_a_run_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    with caplog.at_level(logging.WARNING, "prompttune"):
        warn("a", once="x")
        warn("b", once="x")
        warn("c")
        forget_warnings()
        warn("d", once="x")
    assert [record.message for record in caplog.records] == ["a", "c", "d"]


def test_the_nearest_or_all_are_suggested() -> None:
    assert suggest("retinna", ["cracks", "retina"]) == " Did you mean 'retina'?"
    assert suggest("zebra", ["b", "a"]) == " There are: a, b."
    assert suggest("zebra", []) == ""
    assert issubclass(InputError, ValueError)
