"""What makes two pre-training runs the same."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.resuming import FREE, describe_run, resumed_step
from prompttune.pretraining.sources.pool import SetConfig
from prompttune.pretraining.state import write_state
from prompttune.utils.errors import InputError

RECIPE = PretrainRecipe(sets=[SetConfig("set")])


def test_what_changes_no_result_is_left_out(tmp_path: Path) -> None:
    faster = replace(RECIPE, workers=9, save_every=7, memory="saving", accumulate=2)
    assert describe_run(faster, None) == describe_run(RECIPE, None)
    assert not set(FREE) & describe_run(RECIPE, None).keys()
    assert describe_run(replace(RECIPE, seed=1), None) != describe_run(RECIPE, None)


def test_the_files_of_a_pool_count(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    seen = []
    for name, content in (("a.png", b"1"), ("a.png", b"22"), ("b.png", b"1"), ("b.png", b"2")):
        (tmp_path / "set" / name).write_bytes(content)
        seen.append(describe_run(RECIPE, tmp_path)["data"])
    assert len(set(seen[:3])) == 3
    assert seen[2] == seen[3], "names and sizes alone"


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    run = describe_run(RECIPE, None)
    state = tmp_path / "state" / "state.json"
    write_state({"global_step": 5, "run": run, "x": torch.ones(1)}, state)
    assert resumed_step(state, run) == 5
    other = describe_run(replace(RECIPE, max_steps=3, ema=0.5), None)
    with pytest.raises(InputError, match=r"begun with other ema, max_steps \(which also shapes"):
        resumed_step(state, other)
