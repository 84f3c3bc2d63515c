"""Trials: what makes two of them the same, and what the simplest row answers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.suite import trials
from prompttune.evaluation.suite.problems import Part, Problem
from prompttune.evaluation.suite.trials import Setting, Trial, make_bench, plan, run_trials

SETTING = Setting(
    "data", "small", "small", "f" * 64, 16, Part(), 0.125, 8, 0, "cpu", "fp32"
)  # fmt: skip
TRIAL = Trial(SETTING, "cracks", "crack", "dice", 0.5, 3, "one-shot", 0, 12.0)


def test_a_trial_is_the_same_wherever_its_files_lie() -> None:
    moved = replace(TRIAL, setting=replace(SETTING, data="elsewhere", name="other"), cost=1.0)
    assert moved.key() == TRIAL.key()
    for changes in ({"choice": 1}, {"row": "feature"}, {"setting": replace(SETTING, seed=1)}):
        assert replace(TRIAL, **changes).key() != TRIAL.key()
    assert json.loads(TRIAL.key())["setting"]["fingerprint"] == "f" * 64


def sample(name: str, left: int) -> LoadedSample:
    class_map = np.zeros((20, 20), np.uint8)
    class_map[:, left : left + 5] = 1
    return LoadedSample(name, np.zeros((20, 20, 3), np.uint8), class_map)


@pytest.fixture
def problem() -> Problem:
    shown = [[sample("a", 0)], [sample("b", 0)], [sample("c", 0), sample("d", 10)]]
    return Problem("crack", "dice", 0.5, *shown)


def test_rows_without_an_example_are_tried_once(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_problems", lambda *_: [problem])
    planned = plan(SETTING, "cracks", ["one-shot", "all-foreground", "copied"], 4)
    assert [(one.row, one.choice) for one in planned] == [
        *(("one-shot", choice) for choice in range(4)), ("all-foreground", 0),
    ]  # fmt: skip
    assert planned[0].cost == pytest.approx(10 * planned[-1].cost)


def test_the_mask_of_the_example_is_copied(problem: Problem) -> None:
    class Nobody:
        class network:
            class config:
                canvas = 16

    bench = make_bench(problem, Nobody(), 0, SETTING)  # type: ignore[arg-type]
    (candidate,) = trials.copied(bench)
    answers = [candidate.scores(one.name, one.image) for one in problem.test]
    assert np.array_equal(answers[0][0], problem.test[0].class_map)
    assert answers[1][0, :, :5].all()


def test_one_process_gives_results_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "run_trial", lambda trial: {"dice": [trial.choice]})
    asked = [replace(TRIAL, choice=choice) for choice in (2, 0, 1)]
    assert [result["dice"] for _, result in run_trials(asked, 1)] == [[2], [0], [1]]
