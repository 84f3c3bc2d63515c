"""How much a companion counts is chosen by images that neither it nor the prompt has learned."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from squares import data  # noqa: F401

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.companion.network import CompanionNetwork
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, give_companion
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.run import Machine, Tuned
from prompttune.workflows import companion as workflow
from prompttune.workflows.companion import (
    SHARES,
    USUAL,
    chosen_share,
    tune_with_companion,
    with_companion,
)

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
RECIPE = Recipe(task="squares", classes=("square",), max_steps=20, companion=3.0, batch=4)
MACHINE = Machine(progress=False)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(SegGPT(CONFIG))


@pytest.fixture
def prompt() -> Prompt:
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    return Prompt((image,), (image,), Palette.of(["square"]), scale=1.0, canvas=16)


def test_what_the_prompt_cannot_do_the_companion_does(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tuned = Tuned(prompt, 0.1, 20, 5.0, [], "fp32")
    monkeypatch.setattr(workflow, "tune", lambda *_: tuned)
    found = tune_with_companion(RECIPE, segmenter, data, tmp_path, MACHINE)
    assert found.seconds > 5.0
    assert isinstance(found.prompt, Prompt)
    assert found.prompt.companion is not None
    assert found.prompt.companion.share in SHARES
    sample = data.test[0]

    def dice(asked: Prompt) -> float:
        scores = segmenter.predict(sample.image, asked).scores[0]
        decided, truth = scores > 0.5, sample.class_map == 1
        return 2 * (decided & truth).sum() / max(1, decided.sum() + truth.sum())

    assert dice(found.prompt) > dice(prompt) + 0.3


def test_a_companion_that_helps_nothing_is_left_out(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Wrong(CompanionNetwork):
        """Calls all background, whatever it sees."""

        def __init__(self) -> None:
            super().__init__(1)
            torch.nn.init.zeros_(self.out.weight)
            self.out.bias.data = torch.tensor([9.0, -9.0])

    monkeypatch.setattr(workflow, "train_companion", lambda *_, **__: Wrong().eval())
    monkeypatch.setattr(workflow, "SHARES", (1.0,))
    enough = replace(data, val=[*data.val, *data.test])
    assert with_companion(prompt, RECIPE, segmenter, enough, MACHINE) is prompt


def test_a_low_share_must_gain_more_than_chance() -> None:
    usual = np.array([0.5, 0.6, 0.7, 0.8])
    little = {0.0: usual - 0.3, 0.65: usual + np.array([0.1, -0.05, 0.04, -0.04]), 0.8: usual}
    assert chosen_share(little | {1.0: usual - 0.01}) == 0.8
    assert chosen_share(little | {1.0: usual + 0.001}) == 1.0
    assert chosen_share(little | {0.5: usual + np.array([0.02, 0.01, 0.03, 0.02])}) == 0.5
    assert chosen_share({0.0: usual, 0.8: usual - 0.1, 1.0: usual - 0.2}) == 0.0


def test_pieces_that_say_nothing_choose_no_low_share() -> None:
    nothing = np.full(3, math.nan)
    assert chosen_share({0.0: nothing, 0.5: nothing, 0.8: nothing, 1.0: nothing}) == 0.8
    two = np.array([0.4, 0.4, math.nan])
    assert chosen_share({0.5: two + 0.3, 0.8: two}) == 0.8


def test_training_images_do_not_choose(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
) -> None:
    same = replace(data, val=data.train)
    found = with_companion(prompt, replace(RECIPE, companion=0.1), segmenter, same, MACHINE)
    assert isinstance(found, Prompt)
    assert found.companion is not None
    assert found.companion.share == USUAL


@pytest.mark.parametrize("held_out", [True, False])
def test_crops_are_varied_strongly_where_no_image_is_held_out(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    held_out: bool,
) -> None:
    asked = []

    def learned(*_: object, strong: bool) -> CompanionNetwork:
        asked.append(strong)
        return CompanionNetwork(1).eval()

    monkeypatch.setattr(workflow, "train_companion", learned)
    given = data if held_out else replace(data, val=data.train)
    with_companion(prompt, RECIPE, segmenter, given, MACHINE)
    assert asked == [not held_out]


def test_one_or_two_images_do_not_choose(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
) -> None:
    few = replace(data, val=data.val[:2])
    found = with_companion(prompt, replace(RECIPE, companion=0.1), segmenter, few, MACHINE)
    assert isinstance(found, Prompt)
    assert found.companion is not None
    assert found.companion.share == USUAL


def test_who_has_none(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing is learned")

    monkeypatch.setattr(workflow, "train_companion", never)
    without = replace(RECIPE, companion=0.0)
    assert with_companion(prompt, without, segmenter, data, MACHINE) is prompt
    for each in (replace(prompt, seg_type=1), replace(prompt, scale=None)):
        assert with_companion(each, RECIPE, segmenter, data, MACHINE) is each


def test_groups_share_one(
    segmenter: Segmenter,
    prompt: Prompt,
    data: TaskData,  # noqa: F811
) -> None:
    others = replace(prompt, palette=Palette.of(["nothing"]))
    recipe = replace(RECIPE, classes=("nothing", "square"))
    shifted = [
        [replace(one, class_map=2 * one.class_map) for one in part]
        for part in (data.train, data.val, data.test)
    ]
    both = replace(data, **dict(zip(("train", "val", "test"), shifted, strict=True)))
    found = with_companion(Composition([others, prompt]), recipe, segmenter, both, MACHINE)
    companions = [part.companion for part in found.parts]
    assert all(each is not None and each.classes == 2 for each in companions)
    assert [each.first for each in companions if each is not None] == [0, 1]
    sample = both.test[0]
    assert companions[0] is not None
    it_alone = give_companion(found, replace(companions[0], share=1.0))
    scores = segmenter.predict(sample.image, it_alone).scores
    decided, truth = scores[1] > 0.5, sample.class_map == 2
    assert 2 * (decided & truth).sum() / (decided.sum() + truth.sum()) > 0.5


def test_the_segmenter_weighs_window_by_window(segmenter: Segmenter, prompt: Prompt) -> None:
    torch.manual_seed(3)
    companion = CompanionNetwork(1, (4, 8)).eval().folded(0.4)
    window = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    alone = segmenter.predict(window, prompt).scores
    found = segmenter.predict(window, replace(prompt, companion=companion)).scores
    from prompttune.utils.normalize import normalize, to_tensor

    queries = normalize(to_tensor(window))[None]
    expected = companion.weigh(queries, torch.from_numpy(alone)[None])[0].numpy()
    assert np.allclose(found, expected, atol=1e-5)
