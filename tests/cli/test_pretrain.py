"""The pre-training command: its recipes, its errors, and that --help costs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import check_waits_for_no_other

from prompttune.cli.pretrain import main, parse
from prompttune.utils.errors import InputError
from prompttune.utils.paths import shipped_folder

RECIPE = """
backbone: {canvas: 16, patch: 8, dim: 16, depth: 1, heads: 2, merge_index: 0, out_indices: [0],
           decoder_dim: 4, pretrain_canvas: 16}
optimizer: {lr: 1e-3, name: adamw, schedule: cosine}
max_steps: 9
batch: 2
workers: 0
"""


def test_every_shipped_recipe_is_understood_by_the_command() -> None:
    from prompttune.pretraining.config import read_recipe

    paths = sorted((shipped_folder("recipes") / "pretrain").glob("*.yaml"))
    assert paths
    for path in paths:
        recipe = read_recipe(path, max_steps=7)
        assert recipe.max_steps == 7
        assert recipe.sets
        assert recipe.backbone.out_indices


def test_a_recipe_becomes_what_it_says(tmp_path: Path) -> None:
    from prompttune.pretraining.config import read_recipe

    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE + "sets: [{name: a, weight: 3, background: null}]\ninit: seggpt-small\n")
    recipe = read_recipe(path)
    assert (recipe.optimizer.lr, recipe.optimizer.name) == (0.001, "adamw")
    assert recipe.backbone.out_indices == (0,)
    (one,) = recipe.sets
    assert (one.name, one.weight, one.background) == ("a", 3.0, None)
    assert recipe.init == "seggpt-small"
    assert read_recipe(path, init="other", workers=2).workers == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("backbone: {canvas: 33}", "canvas=33 is no multiple"),
        ("backbone: 3", "backbone must be a mapping"),
        ("nonsense: 1", "unknown field 'nonsense'"),
        ("mix: {hrad: 1}", r"unknown field 'mix\.hrad'\. Did you mean 'hard'"),
        ("batch: many", "batch must be a whole number, not 'many'"),
        ("batch: true", "batch must be a whole number"),
        ("batch: 0", "batch 0: must be a whole number 1 to 65536"),
        ("ema: 1", "ema 1: must be 0 to 0.99"),
        ("seed: -1", "seed -1: must be"),
        ("optimizer: {lr: fast}", r"optimizer\.lr must be a number, not 'fast'"),
        ("optimizer: {name: sgd}", r"optimizer\.name must be one of muon\+adamw, adamw"),
        ("sets: [{weight: 1}]", r"'sets\[0\]\.name' is missing"),
        ("sets: {name: a}", "sets must be a list"),
        ("[", "while parsing"),
        ("- a", "not a mapping"),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"odd\.yaml: .*{complaint}"):
        main(["--recipe", str(path), "--output", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_command_trains_in_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from prompttune.pretraining.run import STATE
    from prompttune.pretraining.state import read_values

    path, output = tmp_path / "recipe.yaml", tmp_path / "run"
    path.write_text(RECIPE)
    common = ["--recipe", str(path), "--output", str(output), "--device", "cpu", "--max_steps", "3"]
    assert main([*common, "--minutes", "0", "--compact", "--resume"]) == 0
    assert read_values(output / STATE)["global_step"] == 1
    assert main([*common, "--resume"]) == 0
    assert read_values(output / STATE)["global_step"] == 3
    assert capsys.readouterr().out == f"weights: {output / 'backbone.safetensors'}\n" * 2


def test_a_folder_of_another_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = tmp_path / "recipe.yaml", tmp_path / "run"
    path.write_text(RECIPE)
    line = ["--recipe", str(path), "--output", str(output), "--device", "cpu"]
    check_waits_for_no_other(lambda: main(line), output, monkeypatch)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file; --output names a folder"):
        main([*line, "--output", str(tmp_path / "file")])


def test_bad_arguments_are_one_line() -> None:
    with pytest.raises(InputError, match="--recipe"):
        parse([])
    with pytest.raises(InputError, match="--devices"):
        parse(["--recipe", "r.yaml", "--devices", "two"])
    with pytest.raises(InputError, match=r"none\.yaml: no such recipe"):
        main(["--recipe", "none.yaml"])


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from prompttune.cli.pretrain import parse\n"
        "try: parse(['--help'])\n"
        "except SystemExit: print({'torch', 'numpy', 'lightning', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
