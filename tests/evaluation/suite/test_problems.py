"""The sets of the suite as problems, and trials against answers worked out another way."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import save_weights
from prompttune.data.layouts import find_split
from prompttune.evaluation.metrics import best_threshold, threshold_grid
from prompttune.evaluation.suite.problems import Part, present_sets, read_problems
from prompttune.evaluation.suite.trials import Setting, Trial, _result, plan, run_trial, run_trials
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError

CANVAS = 16
CONFIG = SegGPTConfig(
    canvas=CANVAS, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(1, 2),
    decoder_dim=8, pretrain_canvas=CANVAS,
)  # fmt: skip
ROWS = ("one-shot", "feature", "all-foreground", "nearest-color", "copied")


def save_pair(folder: Path, name: str, mask: np.ndarray, seed: int, suffix: str = "png") -> None:
    noise = np.random.default_rng(seed).integers(0, 90, (*mask.shape, 3))
    pixels = noise + np.where(mask[..., None] > 0, 120, 0)
    for kind in ("images", "masks"):
        (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{name}.{suffix}")
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def bar(top: int, value: int = 255, height: int = 6) -> np.ndarray:
    mask = np.zeros((32, 40), np.uint8)
    mask[top : top + height, 5:35] = value
    return mask


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Cracks, car parts of which most are too rare, and a video of five frames."""
    root = tmp_path_factory.mktemp("suite")
    for number in range(12):
        part = "train" if number < 8 else "test"
        save_pair(root / "road-cracks" / part, f"{number:02d}", bar(number), number)
    for number in range(14):
        part = "train" if number < 9 else "test"
        # 19 is the wheel, in all; 14 the hood, in half; 2 in one test image; 15 is one pixel.
        mask = np.maximum(bar(4, 19), bar(16, 14 * (number % 2)))
        mask[0, 0], mask[31, 39] = 15, 2 * (number == 10)
        save_pair(root / "car-parts" / part, f"{number:02d}", mask, number)
    for number in range(5):
        name = f"swan/{number:05d}"
        save_pair(root / "video-davis", name, bar(4 + 2 * number), number, "jpg")
    return root


@pytest.fixture(scope="module")
def setting(data, tmp_path_factory) -> Setting:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(0)
    save_weights(SegGPT(CONFIG), path)
    network = Segmenter(path, device="cpu").network
    return Setting(
        str(data), str(path), "small", network.fingerprint, CANVAS, Part(),
        overlap=0.25, ensemble=3, seed=0, device="cpu", precision="fp32",
    )  # fmt: skip


@pytest.fixture
def trial(setting) -> Callable[..., Trial]:
    """Return the trial of a set, a row and a choice."""

    def find(name: str, row: str, choice: int = 0, **changes) -> Trial:
        trials = plan(replace(setting, **changes), name, ROWS, choices=4)
        return next(each for each in trials if (each.row, each.choice) == (row, choice))

    return find


def test_classes_are_problems_if_three_test_images_and_some_example_show_them(data):
    problems = {each.name: each for each in read_problems(data, "car-parts", Part(validation=1))}
    # the pixel in the corner is no example of anything, class 2 is in one test image
    assert list(problems) == ["hood", "wheel"]
    assert [len(each.test) for each in problems.values()] == [3, 5]
    assert all(len(each.validation) == 1 for each in problems.values())
    assert {each.scale for each in problems.values()} == {None}
    for sample in problems["hood"].test:
        assert (sample.class_map == (bar(16) > 0)).all()
    assert all(sample.class_map.any() for sample in problems["hood"].train)


def test_thresholds_are_chosen_on_training_images_alone(data):
    (crack,) = read_problems(data, "road-cracks", Part())
    split = find_split(data / "road-cracks")
    assert {each.name for each in crack.validation} == {each.name for each in split.val}
    names = [{each.name for each in part} for part in (crack.train, crack.validation, crack.test)]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & names[2]
    assert names[2] == {"08", "09", "10", "11"}


def test_a_limit_spreads_over_the_images_and_val_scores_validation_images(data):
    (crack,) = read_problems(data, "road-cracks", Part(limit=2))
    assert [each.name for each in crack.test] == ["08", "10"]
    assert len(crack.validation) == 2
    (crack,) = read_problems(data, "road-cracks", Part("val", scale="whole"))
    assert [each.name for each in crack.test] == [each.name for each in crack.validation]
    assert crack.scale is None


def test_a_video_is_prompted_with_its_first_frame_and_scored_on_all_but_the_last(data):
    (swan,) = read_problems(data, "video-davis", Part())
    assert [each.name for each in swan.train] == ["00000"]
    assert [each.name for each in swan.test] == ["00001", "00002", "00003"]
    (mirrored,) = swan.validation
    assert (mirrored.class_map == bar(4)[:, ::-1] // 255).all()
    with pytest.raises(InputError, match="no validation part"):
        read_problems(data, "video-davis", Part("val"))


def test_sets_are_found_or_named(data, tmp_path):
    assert present_sets(data, None) == ["road-cracks", "car-parts", "video-davis"]
    for names, said in ((["cracks"], "unknown set"), (["em-membranes"], "holds no folder")):
        with pytest.raises(InputError, match=said):
            present_sets(data, names)
    with pytest.raises(InputError, match="none of the sets"):
        present_sets(tmp_path, None)


def test_rows_have_the_choices_that_they_need(setting):
    counts: dict[str, int] = {}
    for each in plan(setting, "road-cracks", ROWS, choices=4):
        counts[each.row] = counts.get(each.row, 0) + 1
    assert counts == {"one-shot": 4, "feature": 4, "all-foreground": 1, "nearest-color": 4}
    video = plan(setting, "video-davis", ROWS, choices=4)
    assert [(each.row, each.choice) for each in video] == [
        (row, 0) for row in ("one-shot", "all-foreground", "nearest-color", "copied")
    ]
    assert {each.metric for each in video} == {"iou"}


@pytest.mark.parametrize(("row", "examples"), [("one-shot", 1), ("feature", 3)])
def test_a_trial_scores_as_the_steps_done_by_hand(setting, data, trial, row, examples):
    found = run_trial(trial("road-cracks", row, choice=2))
    (crack,) = read_problems(data, "road-cracks", Part())
    drawn = np.random.default_rng(2).permutation(len(crack.train))[:examples]
    pairs = [(crack.train[i].image, crack.train[i].class_map) for i in drawn]
    prompt = Prompt.from_examples(pairs, ["crack"], crack.scale, CANVAS)
    segmenter = Segmenter(setting.backbone, device="cpu")

    def dice(sample, threshold: float) -> float:
        scores = segmenter.predict(sample.image, prompt, overlap=0.25).scores[0]
        one, other = scores > threshold, sample.class_map == 1
        return 2 * (one & other).sum() / (one.sum() + other.sum())

    grid = threshold_grid()
    curves = [np.array([dice(x, t) for t in grid]) for x in crack.validation]
    chosen = found["threshold"], found["validation"]
    assert chosen == pytest.approx(best_threshold(curves, grid))
    assert found["examples"] == examples
    expected = [dice(sample, found["threshold"]) for sample in crack.test]
    assert found["dice"] == pytest.approx(expected)


def test_baselines_that_can_be_worked_out(trial):
    everything = run_trial(trial("road-cracks", "all-foreground"))
    share = 180 / (32 * 40)
    assert everything["dice"] == pytest.approx([2 * share / (1 + share)] * 4)
    assert everything["iou"] == pytest.approx([share] * 4)
    # the bar of six lines moves by two a frame
    still = run_trial(trial("video-davis", "copied"))
    assert still["iou"] == pytest.approx([4 / 8, 2 / 10, 0])


def test_a_key_names_what_changes_a_result_and_nothing_else(trial):
    key = trial("road-cracks", "one-shot").key()
    cracks = trial("road-cracks", "one-shot")
    moved = replace(cracks.setting, data="elsewhere", backbone="copy.safetensors", name="copy")
    assert replace(cracks, setting=moved, cost=1.5).key() == key
    changes = (
        {"fingerprint": "0" * 64}, {"overlap": 0.0}, {"seed": 1}, {"part": Part(limit=2)},
        {"part": Part(scale=0.25)}, {"precision": "bf16"}, {"ensemble": 2},
    )  # fmt: skip
    keys = {trial("road-cracks", "one-shot", **change).key() for change in changes}
    assert len(keys | {key, trial("road-cracks", "one-shot", 1).key()}) == len(changes) + 2


def test_several_processes_score_the_same(setting):
    trials = plan(setting, "road-cracks", ("one-shot",), 2)
    several = {each.choice: result["dice"] for each, result in run_trials(trials, processes=2)}
    assert several == {each.choice: run_trial(each)["dice"] for each in trials}


def test_a_process_that_was_killed_is_one_clear_line():
    done: Future[dict] = Future()
    done.set_exception(BrokenProcessPool())
    with pytest.raises(InputError, match="--resume"):
        _result(done)


def test_weights_that_changed_under_a_run_stop_it(trial):
    with pytest.raises(InputError, match="changed since"):
        run_trial(trial("road-cracks", "one-shot", fingerprint="0" * 64))


@pytest.mark.parametrize(
    ("name", "problems", "images"),
    [
        ("em-membranes", 1, 6),
        ("road-cracks", 1, 24),
        ("video-davis", 3, 3),
    ],
)
def test_the_real_sets(shared_data, name, problems, images):
    if not (shared_data / name).is_dir():
        pytest.skip(f"no {name} beside the checkout")
    limit = 1 if name == "video-davis" else None  # 169 frames take a while to read
    found = read_problems(shared_data, name, Part(limit=limit))
    assert len(found) == problems
    assert sum(len(each.test) for each in found) == images
    assert all(sample.class_map.max() == 1 for each in found for sample in each.validation)
