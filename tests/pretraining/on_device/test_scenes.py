"""Banks of generated scenes: what is drawn is a turned scene of the bank, labels with it."""

import itertools

import pytest
import torch

from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import scenes
from prompttune.pretraining.on_device.coloring import CLASSES
from prompttune.pretraining.on_device.scenes import SceneBank
from prompttune.synthetic.batched.counter_random import Draws

SIZE, VIEWS, COUNT, SEED = 32, 3, 24, 5
CPU = torch.device("cpu")
MIX = Mix(instances=0.4)
BANK = SceneBank(COUNT, SIZE, MIX, SEED, VIEWS, CPU)
DRAWS = Draws.of(1, torch.arange(120))


def test_format() -> None:
    assert BANK.images.shape == (COUNT, VIEWS, 3, SIZE, SIZE)
    assert BANK.labels.shape == (COUNT, VIEWS, SIZE, SIZE)
    assert BANK.images.dtype == BANK.labels.dtype == torch.uint8
    assert BANK.labels.max() <= CLASSES
    assert 3 < BANK.instance.sum() < 18
    images, labels, instance = BANK.drawn(DRAWS)
    assert images.shape == (120, VIEWS, 3, SIZE, SIZE)
    assert labels.shape == (120, VIEWS, SIZE, SIZE)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.uint8)
    assert (instance.shape, instance.dtype) == ((120,), torch.bool)
    assert 0 <= images.min() < images.max() <= 1


def test_what_is_drawn_is_a_turned_scene_of_the_bank() -> None:
    everything = torch.cat((BANK.images, BANK.labels[:, :, None]), 2).float()
    everything[:, :, :3] /= 255
    turned = {}
    for mirror, flip, across in itertools.product((False, True), repeat=3):
        x = everything.flip(-1) if mirror else everything
        x = x.flip(-2) if flip else x
        turned[mirror, flip, across] = x.transpose(-1, -2) if across else x
    images, labels, instance = BANK.drawn(DRAWS)
    drawn = torch.cat((images, labels[:, :, None].float()), 2)
    seen = set()
    for one, of_things in zip(drawn, instance, strict=True):
        found = [
            (scene, how, first)
            for how, x in turned.items()
            for first in range(VIEWS)
            for scene in range(COUNT)
            if torch.equal(x[scene].roll(-first, 0), one)
        ]
        assert found, "a scene with its views in their order, all turned alike"
        assert of_things == BANK.instance[found[0][0]]
        seen.add(found[0])
    assert len({scene for scene, _, _ in seen}) > 0.8 * COUNT
    assert len({how for _, how, _ in seen}) == 8
    assert {first for _, _, first in seen} == set(range(VIEWS))


def test_a_draw_is_the_same_in_any_batch() -> None:
    some = torch.tensor([90, 4, 33])
    few = BANK.drawn(Draws.of(1, some))
    assert all(torch.equal(one, x[some]) for one, x in zip(few, BANK.drawn(DRAWS), strict=True))


def test_a_scene_does_not_depend_on_its_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, 7, 23):
        draws = Draws.of(~SEED, torch.tensor([number]))
        images, labels, instance = scenes._made(draws, SIZE, MIX, VIEWS, CPU, 1 << 17)
        assert instance[0] == BANK.instance[number]
        assert (labels[0] != BANK.labels[number]).float().mean() < 1e-3
        away = (images[0].float() - BANK.images[number].float()).abs()
        assert (away > 1).float().mean() < 1e-2
    monkeypatch.setattr(scenes, "_TASKS", {"cpu": 5})
    few = SceneBank(12, SIZE, MIX, SEED, VIEWS, CPU)
    assert (few.labels != BANK.labels[:12]).float().mean() < 1e-3
    assert torch.equal(few.instance, BANK.instance[:12])


def test_seeds_differ() -> None:
    other = SceneBank(COUNT, SIZE, MIX, SEED + 1, VIEWS, CPU)
    away = (other.images.float() - BANK.images.float()).abs().flatten(1).mean(1)
    assert away.min() > 2


def test_views_of_things_are_of_one_scene_and_others_are_not() -> None:
    bank = SceneBank(60, SIZE, Mix(instances=0.5, hard=0.0), 1, VIEWS, CPU)
    shown = (bank.labels > 0).float().mean((2, 3))
    first, last = shown[:, 0], shown[:, VIEWS - 1]

    def agreement(of: torch.Tensor) -> float:
        return torch.corrcoef(torch.stack((first[of], last[of])))[0, 1].item()

    assert agreement(bank.instance) > 0.7
    assert (bank.images[:, 0] != bank.images[:, 2]).flatten(1).any(1).all()
    assert bank.labels[~bank.instance].max() <= 3  # kinds, not things


def test_labels_lie_on_what_is_to_be_seen() -> None:
    bank = SceneBank(60, SIZE, Mix(instances=0.0, hard=0.0), 2, VIEWS, CPU)
    inside = bank.labels[:, :, None] > 0

    def apart(where: torch.Tensor) -> torch.Tensor:
        sums = [(bank.images * one).sum((3, 4)) / one.sum((3, 4)).clamp(min=1)
                for one in (where, ~where)]  # fmt: skip
        return (sums[0] - sums[1]).abs().amax(2).median()

    assert apart(inside) > 2 * apart(inside.roll(1, 0))
    assert apart(inside) > 50
