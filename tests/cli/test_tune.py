"""The fit command: one line for bad input, nothing half-written, and a key that is of use."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from command_lines import check_waits_for_no_other

from prompttune import load_prompt
from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.cli import tune as fit
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.header import load_card
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.tasks import data as task
from prompttune.tasks.recipe import Recipe, load_recipe
from prompttune.tuning import run
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.workflows import calibrate
from prompttune.workflows import scale as scales
from prompttune.workflows.scale import with_auto_scale

QUICK = [
    "--max_steps",
    "4",
    "--val_every",
    "2",
    "--batch",
    "2",
    "--val_crops",
    "4",
    "--device",
    "cpu",
]


@pytest.fixture(autouse=True)
def one_zoomed_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "ZOOMED_CROPS", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images of bright squares, and their masks."""
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for number in range(6):
        rng = np.random.default_rng(number)
        image = rng.integers(40, 80, (90, 90, 3), dtype=np.uint8)
        mask = np.zeros((90, 90), np.uint8)
        for top, left in rng.integers(0, 70, (4, 2)):
            image[top : top + 18, left : left + 18] += 120
            mask[top : top + 18, left : left + 18] = 255
        cv2.imwrite(str(tmp_path / "data" / "images" / f"{number}.png"), image)
        cv2.imwrite(str(tmp_path / "data" / "masks" / f"{number}.png"), mask)
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    places = [
        "--data",
        folder / "data",
        "--prompts_zoo",
        folder / "zoo",
        "--output",
        folder / "run",
    ]
    return ["--task", "retina", *map(str, places), *QUICK, *more]


def test_a_folder_of_another_run_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = arguments(folder)
    check_waits_for_no_other(lambda: fit.main(line), folder / "run", monkeypatch)
    assert not list((folder / "zoo").glob("*"))


def test_makes_a_key_that_predicts(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert fit.main(arguments(folder, "--notes", "Squares.")) == 0
    printed = capsys.readouterr().out
    assert "one example (mean)" in printed
    assert "tuned key" in printed
    card = load_card(folder / "zoo" / "retina")
    assert (card.task, card.initialisation.kind, card.data.generated) == (
        "retina",
        "generated",
        False,
    )
    assert not card.initialisation.contains_real_image
    assert card.notes == "Squares."
    assert {row.mode for row in card.scores[0].rows} - {"tuned-prompt"} == {"one-shot", "tuned"}
    assert str(folder) not in card.model_dump_json()
    assert (folder / "run" / "report" / "index.html").is_file()
    prompt = load_prompt("retina", prompts_zoo=folder / "zoo")
    result = Segmenter(DEFAULT_BACKBONE, device="cpu").predict(
        folder / "data" / "images" / "0.png", prompt
    )
    assert result.classes.shape == (90, 90)
    assert np.array_equal(result.classes == 1, result.scores[0] > prompt.threshold)


def test_a_scale_that_the_tool_chooses_is_the_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    chosen = []

    def choose(recipe: Recipe, *given: Any) -> Recipe:
        chosen.append(with_auto_scale(recipe, *given))
        return replace(chosen[0], scale=chosen[0].scale * 0.75)  # unlike any recipe's

    monkeypatch.setattr(scales, "with_auto_scale", choose)
    line = ["--scale", "auto", "--companion", "0", "--score_images", "1"]
    assert fit.main(arguments(folder, *line)) == 0
    expected = chosen[0].scale * 0.75
    assert f"scale {expected:g}, chosen by the images" in capsys.readouterr().err
    prompt, card = load_key(folder / "zoo" / "retina")
    assert prompt.parts[0].scale == card.scale == card.recipe["scale"] == expected


def test_every_value_of_a_recipe_can_be_given() -> None:
    line = ["--task", "custom", "--classes", "crack,pot hole", "--mask_values", "{0: 1, 255: 2}"]
    _, recipe = fit.parse([*line, "--scale", "0.5", "--learn", "image", "--bounded", "false"])
    assert recipe.classes == ("crack", "pot hole")
    assert recipe.mask_values == {0: 1, 255: 2}
    assert (recipe.scale, recipe.learn, recipe.bounded) == (0.5, "image", False)
    assert fit.parse(["--task=retina"])[1] == load_recipe("retina")


def test_says_plainly_that_images_are_generated(tmp_path: Path, capsys) -> None:
    places = ["--prompts_zoo", str(tmp_path / "zoo"), "--output", str(tmp_path / "run")]
    fit.main(["--task", "retina", *places, *QUICK, "--score_images", "1"])
    assert "generated" in capsys.readouterr().out
    assert load_card(tmp_path / "zoo" / "retina-generated").data.generated


def test_says_that_an_example_start_keeps_an_image(folder: Path, capsys) -> None:
    fit.main(arguments(folder, "--init", "example"))
    assert "will contain training images" in capsys.readouterr().out
    assert load_card(folder / "zoo" / "retina").initialisation.contains_real_image


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--task", "retinna"], "Did you mean 'retina'"),
        (["--backbone", "seggpt-smal"], "Did you mean 'seggpt-small'"),
        (["--lr", "fast"], "lr"),
        (["--max_steps", "0"], "max_steps"),
        (["--no_such_option", "1"], "no_such_option"),
        (["--name", "../elsewhere"], "name of a key"),
        (["--data", "nowhere"], "no such folder"),
        (["--output", __file__], "is a file; --output names a folder"),
        (["--output", ""], "is empty; is a variable of the shell not set"),
        (["--output="], "is empty; is a variable of the shell not set"),
        (["--init", "magic"], "init"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path, more: list[str], complaint: str
) -> None:
    line = arguments(folder, *more)
    if more[0] == "--task":
        line = line[2:]
    with pytest.raises(InputError, match=complaint) as caught:
        fit.main(line)
    assert "\n" not in str(caught.value)
    assert not (folder / "zoo" / "retina").exists()
    assert not (folder / "run").exists()


def test_an_image_that_cannot_be_read_leaves_no_run_behind(folder: Path) -> None:
    image = folder / "data" / "images" / "0.png"
    whole = image.read_bytes()
    for number in range(6):  # whichever part it falls into
        (folder / "data" / "masks" / f"{number}.png").write_bytes(whole[:200])
    with pytest.raises(InputError, match=r"masks/\d\.png"):
        fit.main(arguments(folder))
    assert not (folder / "run").exists()
    assert not (folder / "zoo" / "retina").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no CUDA device"):
        fit.main(arguments(folder, "--device", "cuda"))


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """Give the arguments for a random backbone that is as quick as one can be."""
    torch.manual_seed(0)
    config = SegGPTConfig(
        canvas=16, patch=4, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
        decoder_dim=4, pretrain_canvas=16,
    )  # fmt: skip
    network = SegGPT(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_weights(network, tmp_path / "small.safetensors")
    return ["--backbone", str(tmp_path / "small.safetensors")]


def test_many_classes_become_one_key_of_groups(folder: Path, small: list[str]) -> None:
    for number in range(6):  # a square's class is the third of the image it is in
        path = folder / "data" / "masks" / f"{number}.png"
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        rows = np.arange(90)[:, None] // 30 + 1
        cv2.imwrite(str(path), np.where(mask > 0, rows, 0).astype(np.uint8))
    line = ["--task", "custom", "--classes", "top,middle,bottom", "--group", "2", "--name", "rows"]
    more = [
        "--min_canvas",
        "0",
        "--score_images",
        "2",
        "--precision",
        "bf16",
        "--max_steps",
        "2",
        *small,
    ]
    assert fit.main(arguments(folder, *line, *more)[2:]) == 0
    card = load_card(folder / "zoo" / "rows")
    assert card.groups is not None
    assert [group.classes for group in card.groups] == [2, 1]
    assert card.tuning is not None
    assert (card.tuning.precision, card.tuning.seconds > 0) == ("bf16", True)
    prompt = load_prompt("rows", prompts_zoo=folder / "zoo")
    assert isinstance(prompt, Composition)
    assert {part.threshold for part in prompt.parts} == {card.threshold}
    segmenter = Segmenter(folder / "small.safetensors", device="cpu")
    result = segmenter.predict(folder / "data" / "images" / "0.png", prompt)
    assert result.scores.shape == (3, 90, 90)
    assert np.array_equal(result.classes, prompt.decide(torch.from_numpy(result.scores)).numpy())
    assert {row.mode for row in card.scores[0].rows} == {"one-shot", "tuned", "tuned-prompt"}


def test_no_test_image_is_read_before_scoring(
    folder: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    seen_by_tuning: list[str] = []
    held_back: list[str] = []
    load, learn, find = task.load_sample, run.tune, task.find_split

    def spying_find(*args, **options):
        split = find(*args, **options)
        held_back.extend(sample.image.name for sample in split.test)
        return split

    def spying_load(sample, *args):
        read.append(sample.image.name)
        return load(sample, *args)

    def spying_tune(*args):
        tuned = learn(*args)
        seen_by_tuning.extend(read)
        return tuned

    monkeypatch.setattr(task, "find_split", spying_find)
    monkeypatch.setattr(task, "load_sample", spying_load)
    monkeypatch.setattr("prompttune.workflows.companion.tune", spying_tune)
    fit.main(arguments(folder, "--max_steps", "2", *small))
    assert seen_by_tuning
    assert held_back
    assert not set(seen_by_tuning) & set(held_back)
    assert set(held_back) <= set(read)  # the spy sees them when they are scored


def test_a_key_is_not_replaced_unasked(folder: Path) -> None:
    fit.main(arguments(folder))
    with pytest.raises(InputError, match="already"):
        fit.main(arguments(folder))
    assert fit.main(arguments(folder, "--overwrite")) == 0


def test_wandb_logs_offline_without_asking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert fit.main(arguments(folder, "--logger", "wandb")) == 0


def test_the_command_line_ends_in_one_line_and_code_2(folder: Path) -> None:
    command = [sys.executable, "-m", "prompttune.fit", *arguments(folder, "--lr", "-1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("prompttune.fit: error: ")
    assert done.stderr.count("\n") == 1


def test_a_compact_key_is_scored_beside_itself(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert fit.main(arguments(folder, "--tokens", "64")) == 0
    assert "all tokens" in capsys.readouterr().out
    key, card = load_key(folder / "zoo" / "retina")
    assert [len(each) for each in key.kept_tokens] == [64] * 3
    rows = {row.mode: row for row in card.scores[0].rows}
    assert set(rows) - {"tuned-prompt"} == {"one-shot", "tuned", "tuned-all-tokens"}
    assert rows["tuned"].ece is not None
    assert card.calibration is not None
    assert card.domain is not None


def test_a_score_that_fits_stands_beside_dice(folder: Path, capsys) -> None:
    assert fit.main(arguments(folder, "--score", "boundary")) == 0
    assert "boundary F" in capsys.readouterr().out
    assert load_card(folder / "zoo" / "retina").recipe["score"] == "boundary"


def test_more_tokens_than_there_are(folder: Path) -> None:
    with pytest.raises(InputError, match="300 tokens: the prompt has 256"):
        fit.main(arguments(folder, "--tokens", "300"))
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("dice", "said"),
    [
        ({"one-shot": 0.4, "tuned": 0.6, "tuned-prompt": 0.5}, []),
        ({"one-shot": 0.4, "tuned": 0.6}, []),
        ({"one-shot": 0.4, "tuned": 0.6, "tuned-prompt": 0.62}, []),
        ({"one-shot": 0.4, "tuned": 0.4}, ["tuning gained nothing"]),
        ({"one-shot": 0.1, "tuned": 0.3, "tuned-prompt": 0.4}, ["the companion does harm"]),
        (
            {"one-shot": 0.1, "tuned": 0.0, "tuned-prompt": 0.2},
            ["tuning gained nothing", "the companion does harm"],
        ),
        ({"one-shot": 0.4, "tuned": 0.999}, ["near to 1 is rare"]),
    ],
)
def test_doubts_a_key_that_is_worse_than_its_parts(dice: dict[str, float], said: list[str]) -> None:
    found = fit.doubts(dice)
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))
