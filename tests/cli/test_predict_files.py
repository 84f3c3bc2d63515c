"""How predict reads files: options, what a key keeps, what is said and warned of."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from predicting import backbone as backbone
from predicting import fails

from prompttune.backbone import load
from prompttune.cli import predict, prompt_options
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card, Data, Initialization
from prompttune.keys.key import save_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError, forget_warnings

DEEP = np.random.default_rng(0).integers(204, 561, (20, 24)).astype(np.uint16)


@pytest.fixture(autouse=True)
def _told_again() -> None:
    forget_warnings()


def key(folder: Path, backbone: Path, name: str, **recipe: object) -> Prompt:
    """Write a key whose card says how its files were read."""
    random = torch.Generator().manual_seed(3)
    image, colors = torch.rand(2, 3, 16, 16, generator=random)
    prompt = Prompt(
        (image,), (colors,), Palette.of(["crack"]), scale=1.0,
        fingerprint=load(backbone).fingerprint, name=name,
    )  # fmt: skip
    card = Card.of(
        prompt, task="custom", backbone="small",
        initialisation=Initialization(kind="noise", contains_real_image=False), recipe=recipe,
        data=Data(layout="images/", train=1, val=1, sha256="0" * 64, generated=False),
    )  # fmt: skip
    save_key(prompt, card, folder / "zoo")
    return prompt


@pytest.fixture
def line(tmp_path: Path, backbone: Path):
    def made(*words: object) -> list[str]:
        places = ("--output", tmp_path / "out", "--backbone", backbone)
        return [str(each) for each in (*words, *places, "--prompts_zoo", tmp_path / "zoo")]

    return made


def shown(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_stretch_of_a_key_is_that_of_its_training(tmp_path: Path, backbone, line) -> None:
    prompt = key(tmp_path, backbone, "deep", stretch="200,600")
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    assert predict.main(line(tmp_path / "a.tif", "--prompt", "deep")) == 0
    bytes_ = ((DEEP.astype(float) - 200) * 255 / 400).round().clip(0, 255).astype(np.uint8)
    expected = Segmenter(backbone).predict(np.repeat(bytes_[:, :, None], 3, 2), prompt)
    assert (shown(tmp_path / "out" / "a.png") != expected.classes).mean() < 0.01


def test_a_picture_that_the_keys_stretch_cuts_off_is_warned_of(
    tmp_path: Path, backbone, line, caplog
) -> None:
    key(tmp_path, backbone, "deep", stretch="200,600")
    tifffile.imwrite(tmp_path / "a.tif", DEEP * np.uint16(8))
    assert predict.main(line(tmp_path / "a.tif", "--prompt", "deep")) == 0
    assert "--stretch image where ranges differ" in caplog.records[0].message
    caplog.clear()
    forget_warnings()
    assert predict.main(line(tmp_path / "a.tif", "--prompt", "deep", "--stretch", "image")) == 0
    assert not caplog.records


def test_keys_of_different_stretches(tmp_path: Path, backbone, line, capsys) -> None:
    key(tmp_path, backbone, "deep", stretch="200,600")
    key(tmp_path, backbone, "other")
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    from prompttune.cli.file_options import cards_of, image_options

    given = predict.parse(line(tmp_path / "a.png", "--prompt", "deep"))
    with pytest.raises(InputError, match="keys were tuned with different stretch"):
        image_options(given, cards_of(["deep", "other"], tmp_path / "zoo"))


def test_another_resolution_is_warned_of_and_can_be_told(
    tmp_path: Path, backbone, line, caplog
) -> None:
    prompt = key(tmp_path, backbone, "sized", image_size=[24, 20])
    pixels = np.random.default_rng(1).integers(0, 256, (80, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert predict.main(line(tmp_path / "a.png", "--prompt", "sized")) == 0
    assert "4.0 times as large" in caplog.records[0].message
    assert "--resize 0.25" in caplog.records[0].message
    caplog.clear()
    forget_warnings()
    assert predict.main(line(tmp_path / "a.png", "--prompt", "sized", "--resize", "0.25")) == 0
    assert not caplog.records
    from dataclasses import replace

    expected = Segmenter(backbone).predict(pixels, replace(prompt, scale=0.25))
    assert np.array_equal(shown(tmp_path / "out" / "a.png"), expected.classes)


def test_categories_of_a_key_have_the_annotations_numbers(tmp_path: Path, backbone, line) -> None:
    key(tmp_path, backbone, "own", category_ids={"crack": 7})
    pixels = np.random.default_rng(2).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0042.png")
    words = (tmp_path / "0042.png", "--prompt", "own", "--instances", "--min_area", 1)
    assert predict.main(line(*words)) == 0
    content = json.loads((tmp_path / "out" / "0042_instances.json").read_text())
    assert {(each["image_id"], each["category_id"]) for each in content} <= {(42, 7)}


@pytest.fixture
def example(tmp_path: Path) -> list[object]:
    """Write an example whose mask has two grays, and a query."""
    generator = np.random.default_rng(4)
    for name in ("eye", "query"):
        pixels = generator.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    mask = np.tile(np.repeat(np.array([0, 127, 255, 0], np.uint8), 5), (20, 1))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return [tmp_path / "query.png", "--example", tmp_path / "eye.png", tmp_path / "mask.png"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "masks gray, 127 = 1, 255 = 2"),
        (("--classes", "background, a,b"), "masks gray, 127 = a, 255 = b"),
        (("--classes", "a", "--mask_kind", "gray"), "shades above 127 = a"),
        (
            ("--classes", "a", "--mask_values", "{0: 0, 127: 1, 255: 0}"),
            "127 = a, 255 = background",
        ),
        (("--colors", "a=#7f7f7f,b=#ffffff"), "#7f7f7f = a, #ffffff = b"),
    ],
)
def test_what_was_understood_is_said(line, example, capsys, more: tuple, said: str) -> None:
    assert predict.main(line(*example, *more)) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--classes", "a"), "name 2 classes with --classes, or give --mask_kind gray"),
        (("--classes", "a,background"), "'background' is value 0"),
        (("--classes", "a,,b"), "every class needs a name"),
        (("--mask_kind", "alpha"), "no alpha channel"),
        (("--mask_values", "crack"), "--mask_values 'crack'"),
        (("--colors", "a=red"), "give NAME=#RRGGBB"),
        (("--classes", "a", "--colors", "b=#ff0000"), "'b' is none of the classes (a)"),
        (("--bands", "9"), "eye.png: has 3 bands"),
        (("--bands", "1,2"), "--bands 1,2: give one number or three"),
        (("--stretch", "9,1"), "stretch '9,1': give LOW,HIGH"),
        (("--resize", "2"), "--resize goes with --prompt"),
        (("--coco", "a.json"), "--coco goes with --instances"),
    ],
)
def test_options_that_do_not_fit(
    tmp_path: Path, line, example, capsys, more: tuple, said: str
) -> None:
    complaint = fails(line(*example, *more), capsys)
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_a_pool_is_understood_as_a_set(tmp_path: Path, line, example, capsys) -> None:
    for part in ("images", "masks"):
        (tmp_path / "pool" / part).mkdir(parents=True)
    for number in range(4):
        with Image.open(tmp_path / "eye.png") as eye:
            eye.save(tmp_path / "pool" / "images" / f"{number}.png")
        mask = np.zeros((20, 20), np.uint8)
        mask[2:9, 3:12] = 128
        Image.fromarray(mask).save(tmp_path / "pool" / "masks" / f"{number}.png")
    assert predict.main(line(example[0], "--pool", tmp_path / "pool", "--select", "random")) == 0
    assert "masks gray, 128 = foreground" in capsys.readouterr().out


@pytest.mark.parametrize("option", [("--bands", "1"), ("--stretch", "image")])
def test_a_video_has_no_bands(option: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="go with IMAGES"):
        predict.main(["--video", "a.mp4", "--prompt", "a", "--output", "o", *option])


def test_an_example_may_be_a_stack(tmp_path: Path, line, example, capsys) -> None:
    stack = np.random.default_rng(5).integers(0, 256, (6, 20, 20), np.uint8)
    masks = np.zeros((6, 20, 20), np.uint8)
    masks[3:, 4:12] = 255
    for name, pages in (("eyes", stack), ("masks", masks)):
        tifffile.imwrite(tmp_path / f"{name}.tif", pages, photometric="minisblack")
    pair = (tmp_path / "eyes.tif", tmp_path / "masks.tif")
    assert predict.main(line(example[0], "--example", *pair)) == 0
    assert shown(tmp_path / "out" / "query.png").shape == (20, 20)
    options = predict.parse(line(example[0], "--example", *pair))
    assert [image.page for image, _ in prompt_options.example_files(options, None)] == [3, 4, 5]
    said = fails(line(example[0], "--example", tmp_path / "eye.png", pair[1]), capsys)
    assert "eye.png has 1 page, but" in said
    assert "masks.tif has 6" in said


def test_masks_beside_images_are_passed_over(tmp_path: Path, line, example, capsys) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("scan0.png", "scan0_mask.png", "scan1.png", "lone_mask.png"):
        Image.new("RGB", (16, 16), (90, 9, 200)).save(folder / name)
    assert predict.main(line(folder, *example[1:])) == 0
    said = capsys.readouterr().out
    assert "3 of 3 images" in said
    assert f"passed over {folder / 'scan0_mask.png'}" in said
    assert predict.main(line(folder / "scan0_mask.png", *example[1:])) == 0
    assert "1 of 1 images" in capsys.readouterr().out


def test_a_threshold_of_ones_own(tmp_path: Path, backbone, line) -> None:
    key(tmp_path, backbone, "plain")
    pixels = np.random.default_rng(3).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shares = []
    for threshold in ("0.05", "0.95"):
        words = (tmp_path / "a.png", "--prompt", "plain", "--format", "npz")
        assert predict.main(line(*words, "--threshold", threshold)) == 0
        with np.load(tmp_path / "out" / "a_scores.npz") as content:
            expected = content["scores"].sum(0) > float(threshold)
        np.testing.assert_array_equal(shown(tmp_path / "out" / "a.png") > 0, expected)
        shares.append(expected.mean())
    assert shares[0] >= shares[1]
    with pytest.raises(InputError, match="--threshold: must be above 0"):
        predict.parse(line(tmp_path / "a.png", "--prompt", "plain", "--threshold", "1"))


def test_chosen_pages_of_stacks_are_answered_as_alone(tmp_path: Path, line, backbone) -> None:
    stack = np.random.default_rng(5).integers(0, 256, (6, 20, 24), np.uint8)
    folder = tmp_path / "stacks"
    folder.mkdir()
    for name, pages in (("long", stack), ("short", stack[:3])):
        tifffile.imwrite(folder / f"{name}.tif", pages, photometric="minisblack")
    Image.fromarray(stack[0]).save(folder / "one.png")
    key(tmp_path, backbone, "k")
    words = ["--prompt", "k", folder, "--format", "csv", "--instances", "--threshold", 0.02]
    assert predict.main(line(*words)) == 0
    whole = tifffile.imread(tmp_path / "out" / "long_overlay.tif")
    assert len(np.unique(whole, axis=0)) == 6
    assert predict.main([*line(*words, "--pages", "2,4-5"), "--output", str(tmp_path / "few")]) == 1
    few = tmp_path / "few"
    assert np.array_equal(tifffile.imread(few / "long_overlay.tif"), whole[[1, 3, 4]])
    assert tifffile.imread(few / "long.tif").shape == (3, 20, 24)
    assert not (few / "short.tif").exists()  # it has three pages, and says so
    assert np.array_equal(shown(few / "one.png"), shown(tmp_path / "out" / "one.png"))
    rows = (few / "areas.csv").read_text().splitlines()
    assert {row.split(",")[1] for row in rows if "long" in row} == {"2", "4", "5"}
    objects = json.loads((few / "long_instances.json").read_text())
    assert {one["image_id"].rpartition("#")[2] for one in objects} <= {"2", "4", "5"}
