import json
import shutil
from dataclasses import replace
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

from prompttune.backbone import SegGPT, SegGPTConfig, load
from prompttune.backbone.weights import save_weights
from prompttune.cli import compare
from prompttune.cli.compare import OTHER_ROWS, PLAIN_ROWS
from prompttune.keys.card import Card, Data, Initialization
from prompttune.keys.header import load_card
from prompttune.keys.key import save_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.synthetic.fundus import generate_fundus
from prompttune.tasks import recipe as recipes
from prompttune.utils.errors import InputError

CANVAS = 32
UNHAD = ("matching", "observer")
CONFIG = SegGPTConfig(
    canvas=CANVAS, patch=8, dim=16, depth=3, heads=2, merge_index=0, out_indices=(1, 2),
    decoder_dim=8, pretrain_canvas=CANVAS,
)  # fmt: skip


def write_data(folder: Path, count: int) -> None:
    """Write small generated fundus images in the plain layout with a field of view."""
    for kind in ("images", "masks", "fov"):
        (folder / kind).mkdir(parents=True)
    for seed in range(count):
        sample = generate_fundus(seed, 64)
        Image.fromarray(sample.image).save(folder / "images" / f"{seed:02d}.png")
        Image.fromarray(sample.class_map * 255).save(folder / "masks" / f"{seed:02d}.png")
        Image.fromarray(sample.field_of_view).save(folder / "fov" / f"{seed:02d}.png")


def write_key(zoo: Path, name: str, mark: str, classes: tuple[str, ...], seed: int) -> None:
    random = torch.Generator().manual_seed(0)
    pixels = tuple(torch.rand(3, CANVAS, CANVAS, generator=random) for _ in range(2))
    prompt = Prompt(
        pixels[:1], pixels[1:], Palette.of(classes), scale=1.0, fingerprint=mark, name=name
    )
    card = Card.of(
        prompt,
        task="retina",
        backbone="small",
        initialisation=Initialization(kind="noise", contains_real_image=False),
        recipe={"seed": seed, "val_fraction": 0.3},
        data=Data(layout="images/", train=1, val=1, sha256="0" * 64, generated=False),
    )
    save_key(prompt, card, zoo)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with a data set, a backbone with random weights, and keys that fit it or do not."""
    root = tmp_path_factory.mktemp("world")
    write_data(root / "eyes", 12)
    torch.manual_seed(0)
    save_weights(SegGPT(CONFIG), root / "small.safetensors")
    mark = load(root / "small.safetensors").fingerprint
    write_key(root / "zoo", "own", mark, ("vessel",), seed=5)
    write_key(root / "zoo", "other-classes", mark, ("disc", "cup"), seed=5)
    write_key(root / "zoo", "other-backbone", "0" * 64, ("vessel",), seed=5)
    return root


@pytest.fixture
def call(world, tmp_path):
    """Return the command as a function, with defaults that a call can replace (None: left out)."""

    def words(**changes) -> list[str]:
        options = {
            "task": "retina",
            "prompt": "own",
            "prompts_zoo": world / "zoo",
            "backbone": world / "small.safetensors",
            "device": "cpu",
            "data": world / "eyes",
            "output": tmp_path / "out",
        } | changes
        return words_of(options)

    return lambda **changes: compare.main(words(**changes))


@pytest.fixture
def content(tmp_path):
    return lambda: json.loads((tmp_path / "out" / "comparison.json").read_text())


def test_all_rows_end_to_end(call, content, tmp_path, capsys):
    assert call() == 0
    found = content()
    table = capsys.readouterr().out

    assert (found["task"], found["backbone"], found["data"]) == ("retina", "small", "eyes")
    assert found["split"] == "test"
    assert [row["mode"] for row in found["rows"]] == list(PLAIN_ROWS)
    assert [row["prompts"] for row in found["rows"]] == [1, 1, 7, 1, 1, 0, 1]
    assert all(0 <= row["dice"] <= 1 for row in found["rows"])
    assert str(tmp_path) not in json.dumps(found)
    assert found["command"].startswith("python -m prompttune.compare --task retina --prompt own")
    assert all(name in table for name in PLAIN_ROWS)
    assert "index.html" in table
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 2
    assert not (tmp_path / "out" / ".unfinished").exists()


def test_the_split_is_the_one_that_the_key_was_tuned_on(call, content, world):
    from prompttune.data.layouts import find_split

    call(rows="tuned", seed=3)
    split = find_split(world / "eyes", seed=5, val_fraction=0.3)
    found = content()
    assert list(found["rows"][0]["trials"][0]["images"]) == [each.name for each in split.test]
    assert found["validation"] == [each.name for each in split.val][:4]
    assert set(found["examples"]) < {each.name for each in split.train}


def test_a_folder_of_another_run_is_refused(call, tmp_path, monkeypatch):
    check_waits_for_no_other(call, tmp_path / "out", monkeypatch)


def test_rows_and_limits_can_be_chosen(call, content):
    call(rows="tuned one-shot", max_images=1, examples=2, validation=1)
    found = content()
    assert [row["mode"] for row in found["rows"]] == ["tuned", "one-shot"]
    assert len(found["rows"][1]["trials"]) == 2
    assert len(found["rows"][0]["trials"][0]["images"]) == 1
    assert len(found["validation"]) == 1


def test_validation_images_can_be_scored_and_the_page_says_what_that_means(call, content, tmp_path):
    call(rows="tuned", split="val")
    assert content()["split"] == "val"
    assert "too optimistic" in (tmp_path / "out" / "index.html").read_text()


def test_generated_images_are_called_so(call, content, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "prompttune.tasks.data.GENERATORS", {"fundus": lambda s: generate_fundus(s, 64)}
    )
    call(data=None, rows="one-shot-best tuned", max_images=2)
    assert "not real" in capsys.readouterr().out
    assert "not real" in (tmp_path / "out" / "index.html").read_text()
    assert content()["data"] == "generated fundus images"


def test_examples_can_have_another_scale_than_the_key(call, content):
    call(rows="one-shot", scale=0.75)
    assert content()["scale"] == 0.75
    with pytest.raises(InputError, match="leave 'tuned' out"):
        call(scale=0.75)


def test_scores_can_be_recorded_in_the_keys_card(call, world):
    assert not load_card(world / "zoo" / "own").scores
    call(rows="tuned all-foreground", save_scores="")
    (scores,) = load_card(world / "zoo" / "own").scores
    assert [row.mode for row in scores.rows] == ["tuned", "all-foreground"]
    assert scores.split == "test, 2 images"


def test_results_are_the_same_twice(call, content):
    def values():
        call(rows="one-shot tuned", max_images=1, examples=2)
        return [
            [row[name] for name in ("dice", "iou", "auc", "cldice")] for row in content()["rows"]
        ]

    assert values() == values()


def test_a_key_of_another_backbone_gives_the_other_rows_their_scale(call, content):
    call(prompt="other-backbone", rows="one-shot-best", max_images=1)
    assert content()["rows"][0]["mode"] == "one-shot-best"


def test_without_a_key_one_is_tuned_and_rivals_train_as_long(call, content, capsys, monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.setattr("prompttune.baselines.supervised.CROP", 32)
    steps = {"max_steps": 2, "val_every": 2, "val_crops": 2, "batch": 2}
    load_recipe = recipes.load_recipe
    monkeypatch.setattr(
        recipes, "load_recipe", lambda task, given=None: replace(load_recipe(task, given), **steps)
    )
    names = ["tuned", "tuned-decoder", "community", "linear-probe", "unet", "unet-best"]
    call(prompt=None, rows=" ".join(names), max_images=1, images=4, minutes=0.02, max_minutes=0.02)
    found = content()
    assert [row["mode"] for row in found["rows"]] == names
    assert all(0 <= row["dice"] <= 1 for row in found["rows"])
    assert found["tuning_seconds"] > 0
    learned = {"tuned", "tuned-decoder", "community"}
    assert learned <= found["learning"].keys() <= set(names)
    *_, (seconds, dice) = found["learning"]["tuned"]  # the start comes first
    assert 0 < seconds <= found["tuning_seconds"] + 0.1
    assert 0 <= dice <= 1
    assert (found["train_images"], found["validation_images"]) == (3, 1)


def test_all_rows_are_those_that_can_be_had(call, content, monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.setattr("prompttune.baselines.supervised.CROP", 32)
    steps = {"max_steps": 1, "val_every": 1, "val_crops": 1, "batch": 1}
    load_recipe = recipes.load_recipe
    monkeypatch.setattr(
        recipes, "load_recipe", lambda task, given=None: replace(load_recipe(task, given), **steps)
    )
    call(rows="all", max_images=1, examples=1, validation=1, minutes=0.01, max_minutes=0.01)
    found = [row["mode"] for row in content()["rows"]]
    # A network of the official layout matches no features, and nobody drew these images twice.
    assert found == [name for name in (*PLAIN_ROWS, *OTHER_ROWS) if name not in UNHAD]


def test_observer_is_scored_where_there_is_one(call, content, world, tmp_path):
    folder = tmp_path / "two"
    for part, count in (("train", 3), ("test", 2)):
        write_data(folder / part, count)
    shutil.copytree(folder / "test" / "masks", folder / "test" / "masks_2nd")
    (folder / "test" / "masks_2nd" / "01.png").unlink()
    call(data=folder, rows="observer")
    (row,) = content()["rows"]
    assert row["dice"] == 1
    assert row["trials"][0]["images"]["01"]["dice"] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": "one-shoot"}, "unknown row 'one-shoot'. Did you mean 'one-shot'?"),
        ({"task": "retnia"}, "unknown task 'retnia'. Did you mean 'retina'?"),
        ({"prompt": "owm"}, "Did you mean 'own'?"),
        ({"prompt": "other-classes"}, "its classes (disc, cup) are not those of task retina"),
        ({"prompt": "other-backbone"}, "tuned on backbone 'small'"),
        (
            {"backbone": "seggpt-smal"},
            "unknown backbone 'seggpt-smal'. Did you mean 'seggpt-small'?",
        ),
        ({"data": "nowhere"}, "nowhere: no such folder"),
        ({"overlap": 1}, "--overlap: '1' is no number in 0..1"),
        ({"max_images": 0}, "--max_images: '0' is no whole number"),
        ({"examples": "two"}, "--examples: 'two' is no whole number"),
        ({"split": "train"}, "--split"),
        ({"prompt": None, "save_scores": ""}, "--scale and --save_scores go with --prompt"),
        ({"minutes": 0}, "--minutes 0.0: must be above 0"),
        ({"images": 99}, "99 images asked for"),
        ({"rows": "observer"}, "no masks_2nd/ beside the test images"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(call, tmp_path, capsys, changes, said):
    check_ends_in_one_line(lambda: call(**changes), compare.PROG, tmp_path / "out", said, capsys)


def test_bad_images_are_found_before_any_prediction(call, world, tmp_path, monkeypatch):
    folder = tmp_path / "broken"
    write_data(folder, 4)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "masks" / "02.png")
    monkeypatch.setattr("prompttune.inference.segmenter.Segmenter.predict", None)
    with pytest.raises(InputError, match=r"02\.png"):
        call(data=folder)
    assert not (tmp_path / "out").exists()


def test_another_folder_is_not_written_into(call, tmp_path):
    check_leaves_other_files(call, tmp_path / "out")


def test_help_names_all_rows_and_imports_nothing_heavy():
    said = help_of("prompttune.compare", {"torch", "numpy", "rich", "skimage"})
    words = said.replace("-\n" + " " * 24, "-")
    assert all(name in words for name in PLAIN_ROWS)
