"""A tuning says how it stands, whatever lies in its folder."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from prompttune.serve.limits import Refused
from prompttune.studio.tunings import Tuning
from prompttune.studio.worker import PROBLEM


def tuning(folder: Path, **process: object) -> Tuning:
    made = Tuning(folder, ("a",), 1.0, 16, "f" * 64, steps=10)
    if process:
        made.process = SimpleNamespace(**process)  # type: ignore[assignment]
    return made


def test_before_a_validation_there_is_nothing_to_show(tmp_path: Path) -> None:
    begun = tuning(tmp_path, poll=lambda: None)
    assert begun.runs
    state = begun.state()
    assert (state["state"], state["step"], state["steps"], state["history"]) == (
        "running", 0, 10, [],
    )  # fmt: skip
    with pytest.raises(Refused, match="nothing to show yet") as caught:
        begun.prompt()
    assert caught.value.status == 409


@pytest.mark.parametrize("told", ["no class is shown", None])
def test_a_failure_says_why(tmp_path: Path, told: str | None) -> None:
    if told is not None:
        (tmp_path / PROBLEM).write_text(told)
    state = tuning(tmp_path, poll=lambda: 2).state()
    assert state["state"] == "failed"
    assert state["problem"] == (told or "Tuning ended before it was done.")


def test_what_was_stopped_has_no_problem(tmp_path: Path) -> None:
    killed: list[bool] = []
    process = {"poll": lambda: None, "kill": lambda: killed.append(True), "wait": lambda: None}
    begun = tuning(tmp_path, **process)
    begun.stop()
    assert killed
    begun.process = SimpleNamespace(poll=lambda: -9)  # type: ignore[assignment]
    assert (begun.state()["state"], begun.state()["problem"]) == ("stopped", None)
