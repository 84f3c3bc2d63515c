"""Tuning from Python: a prompt from any kind of data; nothing is written unless asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import prompttune
from prompttune import Composition, InputError, Prompt, Segmenter
from prompttune.cli import tune as fit
from prompttune.data.layouts import LoadedSample
from prompttune.keys.header import load_card
from prompttune.tasks.recipe import Recipe
from prompttune.workflows import tune as tuning

QUICK = {
    "max_steps": 2, "val_every": 2, "batch": 2, "val_crops": 2, "min_canvas": 0, "init": "noise",
    "precision": "fp32", "progress": False,
}  # fmt: skip


def square(seed: int, classes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy image with a bright square a class, and its class map."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (70, 72, 3), dtype=np.uint8)
    mask = np.zeros((70, 72), np.uint8)
    for index in range(1, classes + 1):
        top, left = rng.integers(0, 50, 2)
        image[top : top + 20, left : left + 20, index % 3] += 120
        mask[top : top + 20, left : left + 20] = index
    return image, mask


PAIRS = [square(seed) for seed in range(5)]


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(device="cpu")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, with a zoo of one's own beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def pixels(prompt: Prompt | Composition) -> torch.Tensor:
    return torch.cat([torch.stack([*part.images, *part.colors]) for part in prompt.parts])


def test_pairs_become_a_prompt_and_nothing_is_written(
    home: Path, segmenter: Segmenter, capfd: pytest.CaptureFixture
) -> None:
    prompt = prompttune.tune(PAIRS, classes=["square"], backbone=segmenter, **QUICK)
    assert prompt.palette.classes == ("square",)
    assert segmenter.predict(PAIRS[0][0], prompt).classes.shape == (70, 72)
    assert not any((home / "work").iterdir())
    assert not (home / "home").exists()
    assert capfd.readouterr() == ("", "")


def test_kinds_of_data_give_the_same_prompt(home: Path, segmenter: Segmenter) -> None:
    images, masks = zip(*PAIRS, strict=True)
    for number, (image, mask) in enumerate(PAIRS):
        Image.fromarray(image).save(f"{number}.png")
        Image.fromarray(mask * 255).save(f"{number}_mask.png")
    given = [
        (PAIRS,),
        (np.stack(images), np.stack(masks)),
        (torch.from_numpy(np.stack(images)).movedim(-1, 1), torch.from_numpy(np.stack(masks))),
        ([Image.fromarray(image) for image in images], list(masks)),
        ([(f"{number}.png", Path(f"{number}_mask.png")) for number in range(5)],),
    ]
    prompts = [prompttune.tune(*each, backbone=segmenter, **QUICK) for each in given]  # type: ignore[arg-type]
    for prompt in prompts:
        assert prompt.palette.classes == ("foreground",)
        assert torch.equal(pixels(prompt), pixels(prompts[0]))


def test_a_prompt_is_kept_and_loaded_by_name_and_by_folder(
    home: Path, segmenter: Segmenter
) -> None:
    prompt = prompttune.tune(PAIRS, classes=["square"], backbone=segmenter, scale=0.5, **QUICK)
    assert prompt.save("squares") == home / "home" / "prompts_zoo" / "squares"
    assert prompt.save("./kept/here") == home / "work" / "kept" / "here"
    for key in (prompttune.load_prompt("squares"), prompttune.load_prompt("kept/here")):
        assert torch.equal(pixels(key), pixels(prompt))
        again, first = (segmenter.predict(PAIRS[1][0], each).scores for each in (key, prompt))
        assert np.array_equal(again, first)
    card = load_card(home / "work" / "kept" / "here")
    assert (card.name, card.data.train, card.data.val, card.scores) == ("here", 4, 1, ())
    with pytest.raises(InputError, match="already"):
        prompt.save("squares")
    assert prompttune.load_prompt("squares").save("squares", overwrite=True)


def test_a_folder_is_tuned_as_the_command_does_it(home: Path, segmenter: Segmenter) -> None:
    for part in ("images", "masks"):
        Path("data", part).mkdir(parents=True)
    for number, (image, mask) in enumerate(PAIRS):
        Image.fromarray(image).save(f"data/images/{number}.png")
        Image.fromarray(mask * 255).save(f"data/masks/{number}.png")
    options = [f"--{name}={value}" for name, value in QUICK.items() if name != "progress"]
    line = ["--task", "custom", "--data", "data", "--name", "own", "--device", "cpu", *options]
    assert fit.main([*line, "--score_images", "6"]) == 0
    prompt = prompttune.tune("data", backbone=segmenter, output="run", **QUICK)
    key = prompttune.load_prompt("own")
    assert torch.equal(pixels(prompt), pixels(key))
    assert [part.threshold for part in prompt.parts] == [part.threshold for part in key.parts]
    assert Path("run", "last.ckpt").is_file()
    with pytest.raises(InputError, match="holds a run already"):
        prompttune.tune("data", backbone=segmenter, output="run", **QUICK)


def test_what_a_folder_tells_is_kept_and_warned_of(
    home: Path, segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    for part in ("images", "masks"):
        Path("data", part).mkdir(parents=True)
    for number, (image, mask) in enumerate(PAIRS):
        deep = 300 + image.astype(np.uint16)[..., 0]
        Image.fromarray(deep).save(f"data/images/{number}.png")
        Image.fromarray(mask).save(f"data/masks/{number}.png")
    prompt = prompttune.tune("data", classes=["square", "hole"], backbone=segmenter, **QUICK)
    assert prompt.card is not None
    assert prompt.card.recipe["image_size"] == [72, 70]
    assert "," in prompt.card.recipe["stretch"]
    assert any("hole" in told for told in caplog.messages)  # no image shows it


def test_many_classes_become_one_composition(home: Path, segmenter: Segmenter) -> None:
    pairs = [square(seed, classes=3) for seed in range(4)]
    prompt = prompttune.tune(pairs, backbone=segmenter, group=2, **QUICK)
    assert isinstance(prompt, Composition)
    assert prompt.palette.classes == ("1", "2", "3")
    prompt.save("many")
    kept = prompttune.load_prompt("many")
    assert torch.equal(pixels(kept), pixels(prompt))
    both = Composition([kept.parts[0], prompttune.load_prompt("retina").parts[0]])
    with pytest.raises(InputError, match="keys of their own; save each"):
        both.save("both")


def test_one_image_is_enough(segmenter: Segmenter) -> None:
    prompt = prompttune.tune(*PAIRS[0], backbone=segmenter, **QUICK)
    assert prompt.card is not None
    assert (prompt.card.data.train, prompt.card.data.val) == (1, 1)


def test_only_what_was_learned_is_kept(home: Path) -> None:
    examples = Prompt.from_examples([PAIRS[0]])
    with pytest.raises(InputError, match="was not learned"):
        examples.save("examples")
    key = prompttune.load_prompt("retina")
    assert isinstance(key, Prompt)
    crop = Prompt.from_examples([PAIRS[0]], ["vessel"], key.scale, key.canvas)
    with pytest.raises(InputError, match="was not learned"):
        Prompt.join([key, crop]).save("both")  # would hold the example's image


@pytest.mark.parametrize(
    ("data", "more", "complaint"),
    [
        (PAIRS, {"stepps": 3}, "no value 'stepps'"),
        (PAIRS, {"max_step": 3}, "Did you mean 'max_steps'"),
        (PAIRS, {"task": "retinna"}, "Did you mean 'retina'"),
        (PAIRS, {"max_steps": 0}, "max_steps 0: must be a whole number 1 to"),
        (PAIRS, {"mask_values": {3: 1}}, "mask_values goes with a folder"),
        (PAIRS, {"mask_kind": "gray"}, "mask_kind goes with a folder"),
        (PAIRS, {"bands": "3,2,1"}, "bands goes with a folder; give RGB images"),
        (PAIRS, {"image_size": (8, 8)}, "no value 'image_size'"),
        (PAIRS, {"backbone": "seggpt-smal"}, "Did you mean"),
        (PAIRS, {"device": "gpu"}, "device 'gpu'"),
        ([], {}, "no examples"),
        (["a.png", "b.png"], {}, "list of pairs"),
        (np.zeros((4, 8, 8, 3), np.uint8), {}, r"give tune\(images, masks\)"),
        ([PAIRS[0][0]], {"masks": [PAIRS[0][1], PAIRS[1][1]]}, "1 images and 2 masks"),
        ([(PAIRS[0][0], PAIRS[0][1][:50])], {}, "make both the same size"),
        ([(PAIRS[0][0], np.zeros((70, 72), np.uint8))], {"classes": ["a"]}, "nothing to learn"),
        (5, {}, "int given; give a folder, pairs of image and mask"),
        (Image.fromarray(PAIRS[0][0]), {"masks": [PAIRS[0][1]]}, "Image given; give a folder"),
        ("nowhere", {}, "no such folder"),
        ("nowhere", {"classes": "crack"}, "give classes as a list"),
        ("nowhere", {"masks": PAIRS}, "a folder has masks of its own"),
        (None, {}, "has no generated images"),
    ],
)
def test_bad_input_is_one_line(data: object, more: dict, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        prompttune.tune(data, **({"device": "cpu"} | QUICK | more))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def sample(seed: int, shown: bool = True) -> LoadedSample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (64, 80, 3), dtype=np.uint8)
    class_map = np.zeros((64, 80), np.uint8)
    if shown:
        image[20:40, 20:40] += 120
        class_map[20:40, 20:40] = 1
    return LoadedSample(f"square-{seed}", image, class_map)


def test_the_command_line_takes_the_word() -> None:
    words = ["--task", "custom", "--data", "x", "--scale", "auto", "--lr", "0.1"]
    args, recipe = fit.parse(words)
    assert args.auto_scale
    assert (recipe.scale, recipe.lr) == (1.0, 0.1)
    assert fit.parse(["--task", "custom", "--scale=auto"])[0].auto_scale
    args, recipe = fit.parse(["--task", "custom", "--scale", "0.5"])
    assert (args.auto_scale, recipe.scale) == (False, 0.5)
    with pytest.raises(InputError, match="--scale: automatic: give a number, or auto"):
        fit.parse(["--task", "custom", "--scale", "automatic"])


def test_without_a_scale_the_images_of_a_custom_task_choose() -> None:
    assert fit.parse(["--task", "custom", "--data", "x"])[0].auto_scale
    args, recipe = fit.parse(["--task", "membranes", "--data", "x"])
    assert (args.auto_scale, recipe.scale) == (False, 0.7)
    assert fit.parse(["--task", "membranes", "--data", "x", "--scale", "auto"])[0].auto_scale


def test_from_python_as_well(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def choose(recipe: Recipe, *_: object) -> Recipe:
        asked.append(recipe.task)
        return replace(recipe, scale=0.45)

    monkeypatch.setattr(tuning, "with_auto_scale", choose)
    pairs = [(each.image, each.class_map) for each in map(sample, range(4))]

    def scale(**given: object) -> float | None:
        values = QUICK | {"companion": 0.0} | given
        return prompttune.tune(pairs, backbone=segmenter, **values).parts[0].scale

    assert scale() == 0.45
    assert scale(scale=0.8) == 0.8
    assert scale(task="cracks") == 1.0
    assert asked == ["custom"]


def test_from_python_with_few_tokens() -> None:
    pairs = [(each.image, each.class_map) for each in map(sample, range(4))]
    prompt = prompttune.tune(
        pairs, scale="auto", tokens=64, backbone=Segmenter(device="cpu"), init="noise",
        max_steps=1, val_every=1, batch=1, val_crops=1, precision="fp32", progress=False,
    )  # fmt: skip
    assert prompt.card is not None
    assert prompt.card.recipe["scale"] == prompt.known_scale
    assert prompt.kept_tokens is not None
    assert {len(each) for each in prompt.kept_tokens} == {64}
    with pytest.raises(InputError, match="300 tokens: the prompt has 256"):
        prompttune.tune(pairs, tokens=300, backbone=Segmenter(device="cpu"), progress=False)
