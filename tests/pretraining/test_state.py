"""Kept states: whole or not at all, the same bit for bit, in parts of a bounded size."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from prompttune.pretraining import state as module
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.sources.pool import SetConfig
from prompttune.pretraining.state import (
    FREE,
    describe_run,
    read_state,
    read_values,
    remove_former,
    remove_state,
    resumed_step,
    write_state,
)
from prompttune.utils.errors import InputError


def some_state(step: int = 3) -> dict:
    torch.manual_seed(step)
    return {
        "global_step": step,
        "state_dict": {"average": torch.randn(7, 30)},
        "current_model_state": {"weight": torch.randn(7, 30), "half": torch.randn(5).bfloat16()},
        "optimizer_states": [
            {
                "state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.randn(7, 30)}},
                "param_groups": [{"lr": 1 / 3, "betas": (0.9, 0.98), "fused": None}],
            }
        ],
        "loops": {"done": True, "empty": torch.empty(0, 3), "$odd": torch.tensor(2**40)},
    }


def same(a: object, b: object) -> bool:
    """Compare trees by type, dtype and bits."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob("*.safetensors"))


@pytest.mark.parametrize("part_bytes", [1200, 2**24])
def test_comes_back_bit_for_bit(tmp_path: Path, part_bytes: int) -> None:
    path = tmp_path / "run" / "state.json"
    write_state(some_state(), path, part_bytes=part_bytes)
    assert same(some_state(), read_state(path))
    assert read_values(path)["global_step"] == 3


def test_parts_are_full_and_never_too_large(tmp_path: Path) -> None:
    values = {str(i): torch.randn(200 + i) for i in range(30)}
    path = tmp_path / "state.json"
    write_state({"global_step": 1, "values": values}, path, part_bytes=4096)
    parts = sorted(tmp_path.glob("*.safetensors"))
    assert max(part.stat().st_size for part in parts) <= 4096
    content = sum(4 * each.numel() for each in values.values())
    assert len(parts) <= math.ceil(content / (0.75 * 4096))


def test_a_network_of_our_size_makes_few_parts(tmp_path: Path) -> None:
    """Of 11 M parameters with Muon: weights, averages and momenta, in at most eight parts."""
    kinds = ("state_dict", "current_model_state", "optimizer_states")
    state = {kind: {str(i): torch.zeros(10**6) for i in range(11)} for kind in kinds}
    path = tmp_path / "state.json"
    for compact, at_most in ((False, 8), (True, 6)):
        write_state({"global_step": 1, **state}, path, compact)
        parts = list(tmp_path.glob("*.safetensors"))
        assert len(parts) <= at_most
        assert max(part.stat().st_size for part in parts) <= 16 * 2**20


@pytest.mark.parametrize("writes", range(4))
def test_a_kill_while_saving_leaves_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    path = tmp_path / "state.json"
    write_state(some_state(1), path, part_bytes=1600)
    write, done = module.write_whole, []

    def breaks(target: Path, content: bytes) -> None:
        if len(done) == writes:
            target.with_name(f".{target.name}.tmp").write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        done.append(target)
        write(target, content)

    monkeypatch.setattr(module, "write_whole", breaks)
    with pytest.raises(KeyboardInterrupt):
        write_state(some_state(2), path, part_bytes=1600)
    monkeypatch.undo()
    assert same(some_state(1), read_state(path))
    write_state(some_state(2), path)  # and the next one leaves nothing of both
    assert same(some_state(2), read_state(path))
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    remove_state(path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_kill_right_after_the_manifest_leaves_parts_that_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_state(some_state(3), path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_delete_parts", lambda *_, **__: None)
        write_state(some_state(4), path)
    assert {each.name.split("-")[1] for each in tmp_path.glob("*.safetensors")} == {"3", "4"}
    remove_former(path)
    assert {each.name.split("-")[1] for each in tmp_path.glob("*.safetensors")} == {"4"}
    assert same(some_state(4), read_state(path))


def test_compact_rounds_averages_and_moments_alone(tmp_path: Path) -> None:
    path, state = tmp_path / "state.json", some_state()
    write_state(state, path, compact=True)
    kept = read_state(path)
    assert same(state["current_model_state"], kept["current_model_state"])
    average = kept["state_dict"]["average"]
    assert average.dtype == torch.float32
    assert torch.equal(average, state["state_dict"]["average"].bfloat16().float())
    moments = kept["optimizer_states"][0]["state"][0]
    assert moments["step"] == 4
    assert not torch.equal(moments["exp_avg"], state["optimizer_states"][0]["state"][0]["exp_avg"])


def test_damage_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(InputError, match=r"state\.json: no readable"):
        read_state(path)
    write_state(some_state(), path)
    (part,) = tmp_path.glob("*.safetensors")
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    with pytest.raises(InputError, match=rf"{part.name}: missing or damaged"):
        read_state(path)
    part.unlink()
    with pytest.raises(InputError, match=rf"{part.name}: missing or damaged"):
        read_state(path)
    manifest = json.loads(path.read_text())
    for change, complaint in (({"version": 2}, "newer"), ({"format": "else"}, "not the manifest")):
        path.write_text(json.dumps(manifest | change))
        with pytest.raises(InputError, match=complaint):
            read_state(path)


def test_what_json_cannot_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="loops/when: a PosixPath"):
        write_state({"global_step": 1, "loops": {"when": tmp_path}}, tmp_path / "state.json")


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
