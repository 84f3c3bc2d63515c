"""Progress: lines where there is no terminal, a bar where there is one, silence if asked for."""

import sys

import pytest

from prompttune.utils import progress
from prompttune.utils.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time stand still; the list's only value is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_now_and_then_without_a_terminal(clock, capsys) -> None:
    with Progress("Tuning", 40, "steps") as shown:
        shown.advance()
        assert not shown.due
        clock[0] += 10
        assert shown.due
        shown.show(20, "loss 0.5")
        shown.advance(text="too soon")
        shown.show(40, "loss 0.25", now=True)
    captured = capsys.readouterr()
    assert captured.err == "Tuning 20/40 steps, loss 0.5\nTuning 40/40 steps, loss 0.25\n"
    assert not captured.out


def test_percents_where_nothing_is_counted_and_no_end_where_none_is_known(clock, capsys) -> None:
    with Progress("Scoring", 2.5) as costs, Progress("Segmenting", None, "frames") as frames:
        clock[0] += 10
        costs.advance(0.5, "DRIVE")
        frames.advance(7)
    assert capsys.readouterr().err == "Scoring 20%, DRIVE\nSegmenting 7 frames\n"


def test_what_is_over_soon_or_hidden_says_nothing(clock, capsys) -> None:
    with Progress("Segmenting", 3, "images") as short:
        short.advance(3)
    with Progress("Segmenting", 3, "images", shown=False) as hidden:
        clock[0] += 100
        hidden.advance(3)
        assert hidden.done == 3
        assert not hidden.due
    assert not capsys.readouterr().err


def test_a_bar_at_a_terminal_that_ends_full(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Progress("Tuning", 40, "steps", done=10) as shown:
        shown.advance(30)
    text = capsys.readouterr().err
    assert "Tuning" in text
    assert "40/40" in text
    assert "steps" in text


def test_lines_where_rich_is_missing(clock, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich", None)
    with Progress("Tuning", 2, "steps") as shown:
        shown.show(2, now=True)
    assert capsys.readouterr().err == "Tuning 2/2 steps\n"
