"""The ablation: what is known is not run again, and its tables rank what was run."""

import json
from pathlib import Path

import pytest

from benchmarks import ablation

Run = tuple[str, str, int, int]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Replace tuning: a variant is as good as its place in the list says; return what was run."""
    made: list[Run] = []
    places = {name: place for place, name in enumerate(ablation.VARIANTS)}

    def run(args, task: str, variant: str, seed: int, steps: int) -> dict[str, float]:
        made.append((task, variant, seed, steps))
        return {"dice": places[variant] / 100 + seed / 1000, "seconds": 12.0}

    monkeypatch.setattr(ablation, "run", run)
    return made


def test_the_best_of_the_first_round_are_run_in_full(runs: list[Run], tmp_path: Path) -> None:
    page = tmp_path / "ablation.md"
    words = ["--data", "x", "--output", str(page), "--tasks", "cracks", "retina"]
    ablation.main([*words, "--final", "2"])
    *_, second, best = ablation.VARIANTS
    variants = len(ablation.VARIANTS)
    assert len(runs) == len(set(runs)) == 2 * variants + 2 * 3 * 3
    assert {run[1] for run in runs if run[2]} == {"plain", second, best}
    assert {run[3] for run in runs if run[1] == "plain"} == {75, ablation.STEPS}
    text = page.read_text()
    first, final = text.split("## The best, 3 seeds")
    ranked = [line.split(" | ")[0].strip("| ") for line in first.splitlines() if " | 0." in line]
    assert ranked == list(reversed(ablation.VARIANTS))
    assert "| plain | 0.001 ± 0.001 | 0.001 ± 0.001 | 0.001 | 12 |" in final
    runs.clear()
    ablation.main([*words, "--final", "2"])
    assert not runs, "all is known already"
    assert page.read_text() == text


def test_others_can_join_the_second_round(runs: list[Run], tmp_path: Path) -> None:
    page = tmp_path / "ablation.md"
    words = ["--data", "x", "--output", str(page), "--tasks", "cracks", "--final", "1"]
    ablation.main([*words, "--also", "batch 4"])
    final = page.read_text().split("## The best, 3 seeds")[1]
    rows = [line.split(" | ")[0].strip("| ") for line in final.splitlines() if " ± " in line]
    assert rows == ["plain", "batch 4", list(ablation.VARIANTS)[-1]]
    assert "--also 'batch 4'`" in page.read_text()


def test_some_variants_can_be_run_alone(runs: list[Run], tmp_path: Path) -> None:
    page = tmp_path / "ablation.md"
    words = ["--data", "x", "--output", str(page), "--tasks", "cracks", "--final", "0"]
    ablation.main(
        [*words, "--variants", "plain", "start: noise", "lr .1", "--also", "start: noise"]
    )
    assert [run[1] for run in runs] == ["plain", "start: noise", "lr .1"] + 3 * ["plain"] + 3 * [
        "start: noise"
    ]
    assert page.read_text().count("| lr .1 |") == 1


def test_a_run_that_was_ended_goes_on(runs: list[Run], tmp_path: Path) -> None:
    page = tmp_path / "ablation.md"
    known = {f"cracks | {name} | 0 | 75": {"dice": 0.5, "seconds": 1.0}
             for name in list(ablation.VARIANTS)[1:]}  # fmt: skip
    page.with_suffix(".json").write_text(json.dumps(known))
    ablation.main(["--data", "x", "--output", str(page), "--tasks", "cracks", "--final", "0"])
    assert runs == [("cracks", "plain", 0, 75)]
    assert "| plain | 0.000 | 0.000 | 12 |" in page.read_text()
    assert "seeds" not in page.read_text()


def test_every_variant_is_a_recipe_of_its_own() -> None:
    from prompttune.tasks.recipe import Recipe

    made = []
    for changes in ablation.VARIANTS.values():
        changes = dict(changes)
        side = changes.pop(ablation.PROTOTYPES, 0)
        made.append((Recipe(task="x", **ablation.PLAIN | changes), side))
    assert all(made.count(one) == 1 for one in made)
