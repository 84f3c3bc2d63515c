"""Pools on the device: which images are drawn, where, and what their views show."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from telling_sets import telling_set
from torch import Tensor

from prompttune.pretraining.on_device import pool as on_device
from prompttune.pretraining.on_device.pool import CLOSEST, DevicePool, Places
from prompttune.synthetic.batched.counter_random import Draws

SIZE, VIEWS, TASKS = 32, 4, 300
SETS = (
    telling_set(10, 8, weight=3.0),
    telling_set(30, 2, values=(200,), weight=1.0, size=(60, 48)),
    telling_set(40, 5, weight=2.0, size=(96, 48), ignored=True),
)
POOL = DevicePool(SETS, "cpu")
IMAGES = [image for one in SETS for image in one.images]
DRAWS = Draws.of(7, torch.arange(TASKS))


def agree(one: Tensor, other: Tensor) -> bool:
    """Say whether all but a few pixels, those that round to another place, are equal."""
    return ((one.float() - other.float()).abs() > 1e-3).float().mean() < 1e-3


@pytest.fixture(scope="module")
def places() -> Places:
    return POOL.contexts(DRAWS, VIEWS, 0.3)


@pytest.fixture(scope="module")
def views(places: Places) -> tuple[Tensor, Tensor]:
    return POOL.view(DRAWS, places, SIZE)


def test_places_show_the_class_in_common(places: Places) -> None:
    assert places.image.shape == (TASKS, VIEWS)
    assert places.center.shape == (TASKS, VIEWS, 2)
    for images, centers, value in zip(places.image, places.center, places.value, strict=True):
        for number, (column, row) in zip(images, centers.int().tolist(), strict=True):
            assert IMAGES[number].classes.class_map[row, column] == value
    assert set(places.value.tolist()) == {40, 90, 140, 200}


def test_sets_have_their_shares(places: Places) -> None:
    ends = torch.tensor([8, 10, 15])
    many = Draws.of(1, torch.arange(6000))
    drawn = (POOL.contexts(many, 1, 0.0), POOL.images(many, 1, 0.0))
    for each in drawn:
        of = torch.searchsorted(ends, each.image[:, 0], right=True)
        shares = torch.bincount(of, minlength=3) / len(of)
        assert torch.allclose(shares, torch.tensor([3, 1, 2]) / 6, atol=0.03)
    of_first = drawn[0].value[drawn[0].image[:, 0] < 8]
    assert torch.allclose(
        torch.bincount(of_first, minlength=141)[[40, 90, 140]] / len(of_first),
        torch.full((3,), 1 / 3),
        atol=0.04,
    )
    assert len(drawn[1].image.unique()) == 15


def test_sets_without_a_weight_count_by_the_root_of_their_images() -> None:
    sets = telling_set(1, 9), telling_set(20, 4)
    image = DevicePool(sets, "cpu").images(Draws.of(1, torch.arange(4000)), 1, 0.0).image
    assert (image < 9).float().mean() == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("kind", ["contexts", "images"])
def test_images_of_a_task_differ_unless_they_should_be_one(kind: str) -> None:
    draw = getattr(POOL, kind)
    for row in draw(DRAWS, 2, 0.0).image:
        assert len(set(row.tolist())) == 2
    several = draw(DRAWS, VIEWS, 0.0).image
    many = several[(several < 8).all(1)]
    assert len(many) > 100
    if kind == "images":  # of the first set, each task has eight to choose from
        assert all(len(set(row.tolist())) == VIEWS for row in many)
    assert all(len(set(row.tolist())) == 1 for row in draw(DRAWS, VIEWS, 1.0).image)
    few = torch.tensor([len(set(row.tolist())) == 1 for row in draw(DRAWS, 2, 0.3).image])
    assert few.float().mean() == pytest.approx(0.3, abs=0.08)
    of = torch.searchsorted(torch.tensor([8, 10, 15]), several, right=True)
    assert (of == of[:, :1]).all()  # of one set


def test_images_are_drawn_wherever() -> None:
    places = POOL.images(Draws.of(3, torch.arange(2000)), 2, 0.0)
    assert not places.value.any()
    sizes = torch.tensor([image.classes.class_map.shape for image in IMAGES])[places.image]
    part = places.center / sizes.flip(-1)
    assert part.min() >= 0
    assert part.max() <= 1
    assert torch.allclose(part.mean((0, 1)), torch.tensor(0.5), atol=0.02)


def test_format_of_views(views: tuple[Tensor, Tensor]) -> None:
    images, labels = views
    assert images.shape == (TASKS * VIEWS, 3, SIZE, SIZE)
    assert labels.shape == (TASKS * VIEWS, SIZE, SIZE)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.uint8)
    assert images.min() >= 0
    assert images.max() <= 1


def test_images_and_labels_are_bent_together(places: Places, views: tuple[Tensor, Tensor]) -> None:
    images, labels = views
    plain = labels.float()
    # Three pixels of the closest views are one and a half of their images.
    inside = F.max_pool2d(plain, 7, 1) == -F.max_pool2d(-plain, 7, 1)
    inside = F.pad(inside, (3, 3, 3, 3), value=False)
    assert inside.float().mean() > 0.2
    red = images[:, 0] * 255
    assert (red - labels).abs()[inside].max() < 0.3
    blue = torch.tensor([*range(10, 18), 30, 31, *range(40, 45)])[places.image.flatten()]
    assert (images[:, 2] * 255 - blue[:, None, None]).abs().max() < 0.1
    assert not images[:, 1].any()


def test_views_are_what_a_slow_reading_gives(places: Places, views: tuple[Tensor, Tensor]) -> None:
    images, labels = views
    at = POOL._warp(DRAWS, places, SIZE).double().numpy()
    rng = np.random.default_rng(0)
    beyond = 0
    for view in rng.choice(TASKS * VIEWS, 40, replace=False):
        shown = IMAGES[places.image.flatten()[view]]
        margin = 40
        red = np.pad(shown.images[0][..., 0], margin, mode="symmetric").astype(float)
        whole = np.pad(shown.classes.class_map, margin, mode="symmetric")
        for row, column in rng.integers(0, SIZE, (20, 2)):
            x, y = at[view, row, column] + margin
            left, top = int(np.floor(x)), int(np.floor(y))
            part = np.outer([top + 1 - y, y - top], [left + 1 - x, x - left])
            expected = (part * red[top : top + 2, left : left + 2]).sum()
            assert abs(images[view, 0, row, column] * 255 - expected) < 0.5
            if max(abs(x % 1 - 0.5), abs(y % 1 - 0.5)) < 0.499:
                assert labels[view, row, column] == whole[round(y), round(x)]
            height, width = shown.classes.class_map.shape
            beyond += not (0 <= x - margin < width and 0 <= y - margin < height)
    assert beyond > 5  # the border was tried


def test_anchors_lie_within_their_views(places: Places) -> None:
    at = POOL._warp(DRAWS, places, SIZE)
    centers = places.center.flatten(0, 1)[:, None, None]
    away = (at - centers).norm(dim=-1).flatten(1).amin(1)
    sizes = torch.tensor([image.classes.class_map.shape for image in IMAGES])
    short = sizes[places.image.flatten()].amin(1)
    assert (away < 2 * 1.1 * short / SIZE).float().mean() > 0.97
    middle = at[:, SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 2 - 1 : SIZE // 2 + 1].mean((1, 2))
    part = middle / sizes[places.image.flatten()].flip(-1)
    assert part.min() > 0
    assert part.max() < 1


def test_sizes_of_views(places: Places) -> None:
    at = POOL._warp(DRAWS, places, SIZE)
    corners = at[:, [0, 0, -1, -1], [0, -1, -1, 0]]
    x, y = corners.unbind(-1)
    area = (x * y.roll(-1, 1) - x.roll(-1, 1) * y).sum(1).abs() / 2  # the shoelace formula
    sizes = torch.tensor([image.classes.class_map.shape for image in IMAGES])
    side = area.sqrt() / sizes[places.image.flatten()].amin(1) * SIZE / (SIZE - 1)
    plain = side.quantile(torch.tensor([0.02, 0.98]))
    assert 0.25 < plain[0] < CLOSEST + 0.1
    assert 0.9 < plain[1] < 1.2
    mates = side.view(TASKS, VIEWS)
    spread = mates.log().std(1)
    assert (spread < 0.3).float().mean() > 0.65  # most tasks are of one scale


def test_frames_have_area_one_and_turn_both_ways() -> None:
    turns = on_device._turns(DRAWS, VIEWS)
    areas = torch.linalg.det(turns.double())
    assert torch.allclose(areas.abs(), torch.ones_like(areas), atol=1e-5)
    assert (areas > 0).double().mean() == pytest.approx(0.5, abs=0.08)


def test_a_task_is_the_same_in_any_batch(places: Places, views: tuple[Tensor, Tensor]) -> None:
    some = torch.tensor([250, 3, 117])
    few = Draws.of(7, some)
    again = POOL.contexts(few, VIEWS, 0.3)
    assert torch.equal(again.image, places.image[some])
    assert torch.equal(again.center, places.center[some])
    for one, other in zip(POOL.view(few, again, SIZE), views, strict=True):
        assert agree(one, other.unflatten(0, (TASKS, VIEWS))[some].flatten(0, 1))


def test_sets_without_images_or_classes_do_no_harm() -> None:
    empty = telling_set(1, 0, weight=1.0)
    plain = telling_set(70, 3, values=(), weight=2.0)
    pool = DevicePool((empty, plain, SETS[0]), "cpu")
    assert pool.has_contexts
    contexts = pool.contexts(DRAWS, 2, 0.0)
    assert contexts.image.min() >= 3
    image = pool.images(DRAWS, 2, 0.0).image
    assert set(image.flatten().tolist()) == set(range(11))
    assert not DevicePool((plain,), "cpu").has_contexts
