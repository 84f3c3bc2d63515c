"""Warnings are told once where they are to be; suggestions name the nearest."""

import logging

import pytest
import torch

from prompttune.utils.errors import (
    InputError,
    explain_out_of_memory,
    forget_warnings,
    suggest,
    warn,
)


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


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (MemoryError(), "CPU"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), "CPU"),
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU"),
    ],
)
def test_memory_that_runs_out_is_one_line(error: Exception, where: str) -> None:
    line = f"out of memory on the {where}: take a smaller --batch"
    with pytest.raises(InputError, match=line), explain_out_of_memory():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory():
        raise RuntimeError("shapes do not fit")
