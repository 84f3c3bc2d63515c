from contextlib import nullcontext

import numpy as np
import pytest
import torch

from prompttune.pretraining import dataset as pairs
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import DeviceTasks
from prompttune.pretraining.on_device import tasks as on_device

SIZE, PATCH = 32, 8
TASKS = DeviceTasks(SIZE, PATCH, Mix(), seed=5)
COUNT = 96


@pytest.fixture(scope="module")
def batch():
    return TASKS.batch(torch.arange(COUNT), "cpu")


def palette(target):
    return torch.unique(target.flatten(1).t(), dim=0)


def test_format(batch):
    shapes = {name: (tuple(one.shape), one.dtype) for name, one in batch.items()}
    assert shapes == {
        "image": ((COUNT, 3, 2 * SIZE, SIZE), torch.float32),
        "target": ((COUNT, 3, 2 * SIZE, SIZE), torch.float32),
        "masked": ((COUNT, 32), torch.bool),
        "weight": ((COUNT, 1, 2 * SIZE, SIZE), torch.float32),
        "seg_type": ((COUNT,), torch.int64),
    }
    for name in ("image", "target"):
        assert batch[name].min() >= 0
        assert batch[name].max() <= 1
    assert (batch["image"].flatten(1).std(1) > 0.01).all()


def test_a_sample_is_the_same_in_any_batch(batch):
    indices = torch.tensor([71, 2, 40, 3, 95])
    for name, one in TASKS.batch(indices, "cpu").items():
        # Products of other batch sizes round otherwise; a pixel on an edge may fall beyond it.
        assert ((one.float() - batch[name][indices].float()).abs() > 1e-4).float().mean() < 1e-3
    alone = TASKS.batch(torch.tensor([40]), "cpu")
    assert ((alone["target"][0] - batch["target"][40]).abs() > 1e-4).float().mean() < 1e-3


def test_small_parts_give_the_same(batch, monkeypatch):
    monkeypatch.setattr(on_device, "_BATCH_PIXELS", {"cpu": 5 * 2 * SIZE**2})
    monkeypatch.setattr(on_device, "_FAMILY_PIXELS", {"cpu": 2 * SIZE**2})
    few = TASKS.batch(torch.arange(12), "cpu")
    for name, one in few.items():
        assert ((one.float() - batch[name][:12].float()).abs() > 1e-4).float().mean() < 1e-3


def test_seed_and_index_change_all(batch):
    other = DeviceTasks(SIZE, PATCH, Mix(), seed=6).batch(torch.arange(COUNT), "cpu")
    assert (other["image"] - batch["image"]).abs().flatten(1).mean(1).min() > 0.01
    shifted = batch["image"].roll(1, 0)
    assert (shifted - batch["image"]).abs().flatten(1).mean(1).min() > 0.01


def test_nothing_waits_for_the_device(monkeypatch):
    # The meta device has no numbers: reading one, or mixing in a host tensor, fails.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no meta
    made = TASKS.batch(torch.arange(16), "meta")
    assert made["image"].shape == (16, 3, 2 * SIZE, SIZE)
    assert {one.device.type for one in made.values()} == {"meta"}


def test_colors(batch):
    seen = [palette(target) for target in batch["target"]]
    assert sum(len(colors) > 1 for colors in seen) > 0.93 * COUNT
    for target, colors in zip(batch["target"], seen, strict=True):
        assert (colors == 0).all(1).any()
        apart = torch.cdist(colors, colors) + torch.eye(len(colors))
        assert apart.min() > 0.29
        halves = [palette(half) for half in target.chunk(2, 1)]
        colored = [half[half.sum(1) > 0] for half in halves]
        assert torch.equal(*colored)  # each class in both halves, in one color
    assert max(len(colors) for colors in seen) > 3


def test_fixed_colors_belong_to_the_class():
    fixed = DeviceTasks(SIZE, PATCH, Mix(colors="fixed", instances=0.0), seed=5)
    target = fixed.batch(torch.arange(COUNT), "cpu")["target"]
    assert len(torch.unique(target.transpose(0, 1).flatten(1).t(), dim=0)) <= 4


def test_instances_are_two_views_of_one_scene():
    mix = Mix(instances=1.0, hard=0.0)
    made = DeviceTasks(SIZE, PATCH, mix, seed=1).batch(torch.arange(60), "cpu")
    assert (made["seg_type"] == 1).all()
    counts = [len(palette(target)) - 1 for target in made["target"]]
    assert max(counts) == mix.max_classes
    assert np.mean(counts) > 1.8
    areas = (made["target"].amax(1) > 0).float()
    prompt, query = areas.chunk(2, 1)
    both = torch.stack((prompt.mean((1, 2)), query.mean((1, 2))))
    assert torch.corrcoef(both)[0, 1] > 0.6
    assert (prompt - query).abs().mean() > 0.02
    none = DeviceTasks(SIZE, PATCH, Mix(instances=0.0), seed=1).batch(torch.arange(9), "cpu")
    assert not none["seg_type"].any()


def test_masks_and_weights_are_those_of_single_samples(batch):
    mix = Mix()
    half = torch.arange(32) >= 16
    is_half = (batch["masked"] == half).all(1)
    assert 0.4 < is_half.float().mean() < 0.8
    assert (batch["masked"][~is_half].sum(1) == int(32 * mix.patch_ratio)).all()
    for target, masked, weight in zip(
        batch["target"], batch["masked"], batch["weight"], strict=True
    ):
        expected = pairs._weight(
            target.permute(1, 2, 0).numpy(),
            np.ones((2 * SIZE, SIZE), bool),
            masked.view(8, 4).numpy(),
            PATCH,
            mix.foreground,
        )
        np.testing.assert_allclose(weight[0].numpy(), expected, rtol=1e-5)


def test_color_tells_in_easy_tasks():
    mix = Mix(hard=0.0, instances=0.0)
    made = DeviceTasks(SIZE, PATCH, mix, seed=2).batch(torch.arange(60), "cpu")
    inside = made["target"].amax(1, keepdim=True) > 0
    image = made["image"]
    means = [
        (image * where).sum((2, 3)) / where.sum((2, 3)).clamp(min=1) for where in (inside, ~inside)
    ]
    apart = (means[0] - means[1]).abs().amax(1)
    shuffled = inside.roll(1, 0)
    other = [
        (image * where).sum((2, 3)) / where.sum((2, 3)).clamp(min=1)
        for where in (shuffled, ~shuffled)
    ]
    assert apart.median() > 0.2 > 2 * (other[0] - other[1]).abs().amax(1).median()


def test_a_canvas_needs_whole_patches():
    with pytest.raises(ValueError, match="whole patches"):
        DeviceTasks(30, 8, Mix(), 0)
