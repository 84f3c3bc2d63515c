"""A scale is chosen by training images, and by no others."""

from dataclasses import replace

import numpy as np
import pytest

import prompttune
from prompttune import InputError, Segmenter
from prompttune.cli import tune as fit
from prompttune.data.layouts import LoadedSample
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.workflows import auto_scale
from prompttune.workflows.auto_scale import with_auto_scale

RECIPE = Recipe(task="custom", classes=("square",), scale=7.0)


def sample(seed: int, shown: bool = True) -> LoadedSample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (64, 80, 3), dtype=np.uint8)
    class_map = np.zeros((64, 80), np.uint8)
    if shown:
        image[20:40, 20:40] += 120
        class_map[20:40, 20:40] = 1
    return LoadedSample(f"square-{seed}", image, class_map)


class Refusing(list):
    def __getitem__(self, index: object) -> object:
        raise AssertionError("validation and test images choose nothing")


def data_of(train: list[LoadedSample]) -> TaskData:
    return TaskData(train, Refusing(), Refusing(), "squares", "generated", generated=True)


class Choosing:
    """A segmenter that chooses a scale without looking."""

    def __init__(self, chosen: float | None) -> None:
        self.chosen, self.seen = chosen, []
        self.network = type("Network", (), {"config": type("Config", (), {"canvas": 32})})

    def scaled(self, prompt: Prompt) -> Prompt:
        self.seen.append(prompt)
        return replace(prompt, scale=self.chosen)


def test_what_the_examples_like_replaces_the_scale() -> None:
    train = [sample(seed, shown=seed != 1) for seed in range(9)]
    choosing = Choosing(0.35)
    recipe = with_auto_scale(RECIPE, data_of(train), choosing)  # type: ignore[arg-type]
    assert recipe == replace(RECIPE, scale=0.35)
    (prompt,) = choosing.seen
    assert len(prompt.images) == auto_scale.EXAMPLES


def test_whole_images_fill_the_canvas() -> None:
    recipe = with_auto_scale(RECIPE, data_of([sample(0)]), Choosing(None))  # type: ignore[arg-type]
    assert recipe.scale == 0.4  # 32 of 80 pixels


def test_the_command_line_takes_the_word() -> None:
    words = ["--task", "custom", "--data", "x", "--scale", "auto", "--lr", "0.1"]
    args, recipe = fit.parse(words)
    assert args.auto_scale
    assert (recipe.scale, recipe.lr) == (1.0, 0.1)
    assert fit.parse(["--task", "custom", "--scale=auto"])[0].auto_scale
    args, recipe = fit.parse(["--task", "custom", "--scale", "0.5"])
    assert (args.auto_scale, recipe.scale) == (False, 0.5)
    with pytest.raises(InputError, match="scale"):
        fit.parse(["--task", "custom", "--scale", "automatic"])


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
