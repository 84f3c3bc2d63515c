import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_lines import (
    check_ends_in_one_line,
    check_leaves_other_files,
    check_waits_for_no_other,
    help_of,
    words_of,
)
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.cli import evaluate
from prompttune.evaluation.suite import trials as suite_trials
from prompttune.evaluation.suite.trials import SUITE_ROWS
from prompttune.tasks.recipe import load_recipe

CANVAS = 16
CONFIG = SegGPTConfig(
    canvas=CANVAS, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(1, 2),
    decoder_dim=8, pretrain_canvas=CANVAS,
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Two sets of bright bars on noise, and two backbones with random weights."""
    root = tmp_path_factory.mktemp("world")
    for name, foreground in (("road-cracks", 255), ("em-membranes", 0)):
        for number in range(12):
            folder = root / name / ("train" if number < 9 else "test")
            mask = np.full((32, 40), 255 - foreground, np.uint8)
            mask[number : number + 6, 5:35] = foreground
            noise = np.random.default_rng(number).integers(0, 90, (32, 40, 3), np.uint8)
            image = np.where(mask[..., None] == foreground, noise + 120, noise).astype(np.uint8)
            for kind, pixels in (("images", image), ("masks", mask)):
                (folder / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / kind / f"{number:02d}.png")
    for name, seed in (("small", 0), ("large", 1)):
        torch.manual_seed(seed)
        save_weights(SegGPT(CONFIG), root / f"{name}.safetensors")
    return root


@pytest.fixture
def call(world, tmp_path):
    """Return the command as a function, with defaults that a call can replace (None: left out)."""

    def words(**changes) -> list[str]:
        options = {
            "data": world,
            "backbone": world / "small.safetensors",
            "device": "cpu",
            "output": tmp_path / "out",
            "repeats": 2,
            "ensemble": 2,
            "max_images": 2,
        } | changes
        return words_of(options)

    return lambda **changes: evaluate.main(words(**changes))


@pytest.fixture
def content(tmp_path):
    return lambda: json.loads((tmp_path / "out" / "scores.json").read_text())


def test_all_sets_that_are_there_are_scored(call, content, tmp_path, capsys):
    assert call() == 0
    found = content()
    (backbone,) = found["backbones"]
    assert backbone["name"] == "small"
    assert list(backbone["sets"]) == ["em-membranes", "road-cracks"]
    assert found["rows"] == ["one-shot", "feature", "all-foreground", "nearest-color"]
    for one in backbone["sets"].values():
        rows = one["rows"]
        assert [len(rows[row]["choices"]) for row in found["rows"]] == [2, 2, 1, 2]
        assert rows["feature"]["examples"] == 2
        assert rows["nearest-color"]["mean"] > 0.95  # color tells here
        assert one["images"] == 2
    assert found["command"].startswith("python -m prompttune.evaluate --data")
    assert str(tmp_path) not in (tmp_path / "out" / "scores.json").read_text()
    printed = capsys.readouterr().out
    assert "road-cracks" in printed
    assert "One example is above both" in printed
    assert "nearest-color" in (tmp_path / "out" / "scores.md").read_text()


def test_a_run_that_was_stopped_goes_on_and_ends_alike(call, content, tmp_path, monkeypatch):
    options = {"sets": "road-cracks", "rows": "one-shot nearest-color"}
    call(**options)
    whole = content()
    path = tmp_path / "out" / "trials.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:40])
    (tmp_path / "out" / "scores.json").unlink()

    scored = []
    score = suite_trials.run_trial
    monkeypatch.setattr(suite_trials, "run_trial", lambda t: (scored.append(t.row), score(t))[1])
    call(**options, resume="")
    assert scored == ["nearest-color"]
    for one in (whole, content()):
        one.pop("command")
        for row in one["backbones"][0]["sets"]["road-cracks"]["rows"].values():
            row.pop("seconds")
    found = content()
    assert found["backbones"][0]["verdicts"] == whole["backbones"][0]["verdicts"]
    values = [
        [row["choices"] for row in one["backbones"][0]["sets"]["road-cracks"]["rows"].values()]
        for one in (whole, found)
    ]
    assert values[0] == values[1]


def test_a_folder_of_another_run_is_refused(call, tmp_path, monkeypatch):
    check_waits_for_no_other(call, tmp_path / "out", monkeypatch)


def test_backbones_side_by_side_make_a_curve(call, content, world, tmp_path):
    both = f"{world / 'small.safetensors'} {world / 'large.safetensors'}"
    call(sets="road-cracks", rows="one-shot", backbone=both, curve="1000 5000")
    assert [one["samples"] for one in content()["backbones"]] == [1000, 5000]
    lines = (tmp_path / "out" / "curve.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["1000", "small"], ["5000", "large"]]
    assert (tmp_path / "out" / "curve.png").exists()


def test_scales_are_tried_on_validation_images(call, content):
    call(sets="road-cracks", rows="one-shot", split="val", scale=0.5, repeats=1)
    found = content()
    assert found["split"] == "val"
    assert "for no claim" in found["scoring"]
    assert found["backbones"][0]["sets"]["road-cracks"]["scale"] == 0.5


def test_a_picture_of_real_sets(call, world, tmp_path, capsys):
    call(picture=tmp_path / "six.png", output=None)
    with Image.open(tmp_path / "six.png") as drawn:
        assert drawn.height > 2 * 200
    assert "em-membranes, road-cracks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": "one-shoot"}, "unknown row 'one-shoot'. Did you mean 'one-shot'?"),
        ({"sets": "cracks"}, "unknown set 'cracks'"),
        ({"sets": "car-parts"}, "holds no folder 'car-parts'"),
        ({"data": "nowhere"}, "nowhere: no such folder"),
        ({"data": None}, "--data and --output are needed"),
        ({"backbone": "seggpt-smal"}, "Did you mean 'seggpt-small'?"),
        ({"curve": "10 20"}, "2 numbers and 1 backbones"),
        ({"scale": "half"}, "'half' is neither a number above 0 nor 'whole'"),
        ({"overlap": 1}, "no number in 0..1"),
        ({"repeats": 0}, "no whole number"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(call, tmp_path, capsys, changes, said):
    check_ends_in_one_line(lambda: call(**changes), evaluate.PROG, tmp_path / "out", said, capsys)


def test_another_folder_is_not_written_into(call, tmp_path):
    check_leaves_other_files(call, tmp_path / "out")


def test_help_names_all_rows_and_imports_nothing_heavy():
    said = help_of("prompttune.evaluate", {"torch", "numpy", "rich", "cv2"})
    words = "".join(said.split())
    assert all(name in words for name in evaluate.ALL_ROWS)
    assert set(evaluate.ALL_ROWS) == set(SUITE_ROWS)


def test_car_parts_are_named_as_their_files_number_them(shared_data):
    path = shared_data / "car-parts" / "classes.json"
    if not path.is_file():
        pytest.skip("no car-parts beside the checkout")
    names = {int(value): name for value, name in json.loads(path.read_text()).items()}
    recipe = load_recipe("car-parts")
    assert recipe.mask_values is not None
    for value, index in recipe.mask_values.items():
        assert index == 0 if value == 0 else recipe.classes[index - 1] == names[value]
    assert len(recipe.classes) == 18
