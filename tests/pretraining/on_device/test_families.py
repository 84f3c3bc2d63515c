import math

import cv2
import numpy as np
import pytest
import torch

from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import layering
from prompttune.pretraining.on_device.closed_families import CLOSED, MOST, scatter
from prompttune.pretraining.on_device.colouring import _blur, random_colours
from prompttune.pretraining.on_device.counter_random import Draws
from prompttune.pretraining.on_device.fields import (
    Items,
    nearest,
    noise_waves,
    segments,
    waves,
    waves_and_slope,
)
from prompttune.pretraining.on_device.layering import CORE, LAYERS, PIECE, PLAIN, RIM, WHOLE, Plan
from prompttune.pretraining.on_device.painting import first_apart, paint
from prompttune.pretraining.on_device.spread_families import SPREAD

CPU = torch.device("cpu")


def some_items(count=40, size=32, seed=0):
    """Pairs of images: even ones and the odd ones after them share a task."""
    sample = Draws.of(seed, torch.arange(count) // 2)
    half = torch.arange(count) % 2
    return Items(sample.fork("task"), sample.fork("scene", half), sample.fork("view", half), size)


@pytest.mark.parametrize("family", sorted({*CLOSED, *SPREAD}, key=lambda one: one.__name__))
def test_families_draw_something_in_most_scenes(family):
    items = some_items()
    level = family(items, scatter(items)) if family in CLOSED else family(items)
    assert level.shape == (40, 32, 32)
    assert level.dtype == torch.float32
    assert level.isfinite().all()
    cover = (level > 0).float().mean((1, 2))
    assert ((cover > 0.004) & (cover < 0.8)).float().mean() > 0.85
    prompt, query = cover[::2], cover[1::2]
    assert (prompt != query).float().mean() > 0.6  # another scene
    assert (prompt - query).abs().mean() < (prompt - query.roll(1)).abs().mean() * 1.1  # one task
    step = (level[:, :, 1:] - level[:, :, :-1]).abs()
    assert step.flatten(1).quantile(0.5, 1).median() < 4 / 32  # about a distance


def test_families_look_alike_at_every_canvas():
    for family in {*CLOSED, *SPREAD}:
        masks = []
        for size in (64, 128):  # small ones widen what is thinner than a pixel
            items = some_items(24, size=size)
            level = family(items, scatter(items)) if family in CLOSED else family(items)
            masks.append((level > 0).float().mean((1, 2)))
        assert torch.corrcoef(torch.stack(masks))[0, 1] > 0.8, family.__name__


def test_waves_are_sums_of_cosines():
    items = some_items(6)
    vectors, phases = noise_waves(items, "n", torch.full((6,), 2.0), 5)
    turn, shift = items.affine
    y, x = torch.meshgrid(items.grid, items.grid, indexing="ij")
    for n in range(6):
        place = torch.stack((x, y), 2) @ turn[n].T + shift[n]
        expected = sum(
            torch.cos(2 * math.pi * (place @ vectors[n, k]) + phases[n, k]) for k in range(5)
        )
        torch.testing.assert_close(
            waves(items, vectors, phases)[n], expected * math.sqrt(2 / 5), atol=1e-4, rtol=1e-4
        )


def test_slope_is_that_of_small_steps():
    items = some_items(4, size=256)
    field, slope = waves_and_slope(items, *noise_waves(items, "n", torch.full((4,), 2.0)))
    by_y, by_x = torch.gradient(field, spacing=1 / 256, dim=(1, 2))
    inner = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(torch.hypot(by_x, by_y)[inner], slope[inner], atol=0.1, rtol=0.02)


def test_nearest_and_next_nearest():
    items = some_items(6, size=16)
    points, radii = items.scene.uniform("p", 7, 2), items.scene.between("r", 0.5, 1, 7)
    radii[:, 3] = 0
    found = nearest(items, points, radii)
    place = torch.stack(items.place, 3).flatten(1, 2)
    ratio = (torch.cdist(place, points) / radii[:, None].clamp(min=1e-6)).square()
    best = ratio.topk(2, largest=False)
    assert (best.indices[..., 0] == found.index.flatten(1)).float().mean() > 0.99
    assert (best.indices[..., 1] == found.next_index.flatten(1)).float().mean() > 0.99
    torch.testing.assert_close(
        best.values[..., 1], found.next_squared.flatten(1), rtol=1e-2, atol=1e-3
    )


def test_pieces_are_discs_along_a_line():
    items = some_items(4, size=24)
    start, end = items.scene.uniform("a", 2, 2), items.scene.uniform("b", 2, 2)
    width = torch.full((4, 2, 2), 0.07)
    share = torch.linspace(0, 1, 400)[:, None]
    place = torch.stack(items.place, 3).flatten(1, 2)
    dense = start[:, :, None] + share * (end - start)[:, :, None]
    expected = 0.07 - torch.cdist(place, dense.flatten(1, 2)).amin(2)
    found = segments(items, start, end, width).flatten(1)
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)
    absent = segments(items, start, end, torch.full_like(width, -1.0))
    assert (absent <= 0).all()


def test_plans():
    mix = Mix(hard=0.7, instances=0.2)
    plan = Plan.draw(Draws.of(0, torch.arange(3000)), mix)
    assert (plan.layers[:-1] >= plan.layers[1:]).all()
    used = torch.arange(LAYERS) < plan.layers[:, None]
    kinds = plan.label.amax(1)
    assert set(kinds.tolist()) == {1, 2, 3}
    assert not plan.label[~used].any()
    for kind in (1, 2, 3):
        assert ((plan.label == kind).sum(1) == (kinds >= kind)).all()
    assert (plan.layers[~plan.hard] == kinds[~plan.hard]).all()
    assert abs(plan.hard.float().mean() - 0.7) < 0.03
    assert abs(plan.instance.float().mean() - 0.2) < 0.03
    labelled = plan.instance[:, None] & (plan.label > 0)
    assert (plan.family[labelled] < len(CLOSED)).all()
    assert (plan.part[plan.instance] == WHOLE).all()
    assert (plan.change[plan.instance] == PLAIN).all()
    alone = (plan.part == CORE) | (plan.part == RIM)
    assert ((plan.family == -1) == (alone | ~used)).all()
    assert {CORE, PIECE, RIM} <= set(plan.part[used].tolist())


@pytest.fixture(scope="module")
def layered():
    plan = Plan.draw(Draws.of(0, torch.arange(120)), Mix(instances=0.2))
    return plan, layering.draw_layers(plan, CPU, 32, 1 << 17)


def test_parts_lie_in_what_they_are_parts_of(layered):
    plan, layers = layered
    for row, slot in (plan.part * (torch.arange(LAYERS) < plan.layers[:, None])).nonzero().tolist():
        for image in (2 * row, 2 * row + 1):
            inside = layers.level[slot, image] > 0
            assert (layers.level[slot - 1, image][inside] > 0).all()


def test_labels_are_those_of_the_topmost_layer(layered):
    plan, layers = layered
    images, labels = paint(plan, layers, 1 << 14)
    assert images.shape == (240, 3, 32, 32)
    for image in range(240):
        row = image // 2
        expected = torch.zeros(32, 32, dtype=torch.uint8)
        for slot in range(int(plan.layers[row])):
            inside = layers.level[slot, image] > 0
            number = plan.label[row, slot].to(torch.uint8)
            which = layers.which[slot, image]
            shown = which if plan.instance[row] and number else number.expand(32, 32)
            expected = torch.where(inside, shown, expected)
        assert torch.equal(labels[image], expected)
    assert labels.max() <= MOST


def test_blur_is_that_of_opencv():
    images = torch.rand(3, 3, 17, 17, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.5, 0.8, 1.1])
    for image, width, blurred in zip(images, sigma, _blur(images, sigma), strict=True):
        expected = cv2.GaussianBlur(
            image.permute(1, 2, 0).numpy(), (5, 5), float(width), borderType=cv2.BORDER_REPLICATE
        )
        np.testing.assert_allclose(blurred.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_colours_keep_apart():
    colours = random_colours(Draws.of(0, torch.arange(500)), 9, 0.3)
    apart = torch.cdist(colours, colours) + 9 * torch.eye(10)
    assert apart.min() > 0.3
    assert not colours[:, 0].any()
    offered = torch.tensor([[[0.5, 0.5, 0.6], [0.1, 0.5, 0.5], [0.9, 0.5, 0.5]]])
    grey = torch.full((1, 3), 0.5)
    assert first_apart(offered, [grey], torch.tensor([0.3])).tolist() == [offered[0, 1].tolist()]
    most = first_apart(offered, [grey, offered[:, 1]], torch.tensor([0.9]))
    assert most.tolist() == [offered[0, 2].tolist()]
