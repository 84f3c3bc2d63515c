"""Tasks of several images: formats, shares, classes and their colors, weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from telling_sets import telling_set

from prompttune.pretraining import dataset as pairs
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import ContextTasks, contexts
from prompttune.pretraining.on_device.coloring import CLASSES
from prompttune.pretraining.on_device.contexts import MIN_SHARE
from prompttune.pretraining.sources.pool import IGNORE
from prompttune.synthetic.batched.counter_random import Draws

SIZE, VIEWS, COUNT = 32, 4, 60
SETS = telling_set(10, 8), telling_set(40, 5, values=(30, 60, 90, 120, 200), ignored=True)
NOTHING = Mix(generated=0.0, unlabeled=0.0, appearance=0.0, overlaid=0.0, contours=0.0)
KINDS = {
    "labeled": NOTHING,
    "generated": replace(NOTHING, generated=1.0),
    "overlaid": replace(NOTHING, overlaid=1.0),
    "clusters": replace(NOTHING, unlabeled=1.0),
    "appearance": replace(NOTHING, appearance=1.0),
}
ALL = Mix(generated=0.25, unlabeled=0.2, appearance=0.2, overlaid=0.2, contours=0.1)
INDICES = torch.arange(COUNT)


def tasks(mix: Mix, seed: int = 5, sets=SETS) -> ContextTasks:
    return ContextTasks(sets, SIZE, mix, seed, VIEWS, 12, "cpu")


@pytest.fixture(scope="module")
def told() -> dict[str, torch.Tensor]:
    """Labeled tasks whose light is left alone, so that their images tell the labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contexts, "recolor", lambda draws, images: images)
        made = tasks(NOTHING).batch(INDICES)
    red = made["images"][:, :, 0] * 255
    return {**made, "labels": red.round().long(), "exact": (red - red.round()).abs() < 0.01}


@pytest.mark.parametrize("mix", [*KINDS.values(), ALL], ids=[*KINDS, "all"])
@pytest.mark.parametrize("sets", [SETS, ()], ids=["pool", "no pool"])
def test_format(mix: Mix, sets) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        made = tasks(mix, sets=sets).batch(INDICES)
    found = {name: (tuple(one.shape), one.dtype) for name, one in made.items()}
    assert found == {
        "images": ((COUNT, VIEWS, 3, SIZE, SIZE), torch.float32),
        "targets": ((COUNT, VIEWS, 3, SIZE, SIZE), torch.float32),
        "weight": ((COUNT, VIEWS, 1, SIZE, SIZE), torch.float32),
        "seg_type": ((COUNT,), torch.int64),
    }
    for name in ("images", "targets"):
        assert 0 <= made[name].min() < made[name].max() <= 1
    assert made["weight"].min() >= 0
    assert made["weight"].max() <= 10
    assert (made["targets"].flatten(1).amax(1) > 0).float().mean() > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_the_same_at_another_place_of_its_kind(kind: str) -> None:
    maker = tasks(KINDS[kind])
    made = maker.batch(INDICES)
    # Tasks by appearance share out five filters in turn: each stays with its own.
    moved = INDICES.view(5, -1).flip(1).flatten()
    again = maker.batch(moved)
    for name, one in made.items():
        assert ((again[name] - one[moved]).abs() > 1e-3).float().mean() < 1e-3
    assert not torch.equal(made["images"][0], made["images"][1])


def test_seeds_differ() -> None:
    one, other = (tasks(NOTHING, seed).batch(INDICES)["images"] for seed in (1, 2))
    assert (one - other).abs().flatten(1).mean(1).min() > 0.01


def test_a_run_begun_anew_makes_the_same_tasks() -> None:
    one, other = (tasks(ALL).batch(torch.arange(30, 50)) for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_kinds_have_their_shares() -> None:
    mix = Mix(generated=0.2, overlaid=0.25, appearance=0.125, unlabeled=0.25)
    drawn = Draws.of(0, torch.arange(100))
    shared = tasks(mix)._shared_out(drawn)
    found = {kind: len(some.keys) for kind, some in shared}
    assert found == {
        "generated": 20, "overlaid": 20, "appearance": 10, "clusters": 20, "labeled": 30,
    }  # fmt: skip
    assert torch.equal(torch.cat([some.keys for _, some in shared]), drawn.keys)
    assert [kind for kind, _ in tasks(mix, sets=())._shared_out(drawn)] == ["generated"]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_tasks_is_shared_out_whole(count: int) -> None:
    for mix in (ALL, Mix(generated=1.0), Mix(overlaid=0.5, appearance=0.25, unlabeled=0.25)):
        shared = tasks(mix)._shared_out(Draws.of(0, torch.arange(count)))
        assert sum(len(some.keys) for _, some in shared) == count
        assert len(tasks(mix).batch(torch.arange(count))["images"]) == count


def test_without_any_labels_colors_are_clustered_instead() -> None:
    plain = telling_set(70, 4, values=()), telling_set(90, 0)
    shared = tasks(NOTHING, sets=plain)._shared_out(Draws.of(0, torch.arange(9)))
    assert {kind for kind, some in shared if len(some.keys)} == {"clusters"}
    assert len(tasks(NOTHING, sets=plain).batch(torch.arange(9))["images"]) == 9
    nothing = tasks(NOTHING, sets=(telling_set(90, 0),))
    assert len(nothing.batch(torch.arange(3))["images"]) == 3  # generated


def test_instances_are_told_from_classes() -> None:
    of_things = tasks(replace(KINDS["generated"], instances=1.0)).batch(INDICES)
    assert (of_things["seg_type"] == 1).all()
    assert not tasks(replace(NOTHING, instances=1.0)).batch(INDICES)["seg_type"].any()


def test_a_class_has_one_color_in_all_views(told) -> None:
    classes, colored = 0, 0
    for task in range(COUNT):
        colors = {}
        for value in told["labels"][task][told["exact"][task]].unique().tolist():
            where = told["exact"][task] & (told["labels"][task] == value)
            found = told["targets"][task].movedim(1, -1)[where].unique(dim=0)
            if value in {0, 30, 40, 60, 90, 120, 140, 200, IGNORE} and where.sum() > 40:
                shares = [
                    (told["targets"][task].movedim(1, -1)[where] == one).all(1).float().mean()
                    for one in found
                ]
                assert max(shares) > 0.97  # mixed pixels of an edge may look like another class
                colors[value] = tuple(found[int(np.argmax(shares))].tolist())
        black = (0.0, 0.0, 0.0)
        assert colors.get(0, black) == colors.get(IGNORE, black) == black
        shown = [one for one in colors.values() if one != black]
        assert len(set(shown)) == len(shown)
        classes, colored = classes + len(colors), colored + len(shown)
    assert 0.9 * COUNT < colored < 0.7 * classes


def test_ignored_pixels_weigh_nothing_and_others_do(told) -> None:
    ignored = told["exact"] & (told["labels"] == IGNORE)
    known = told["exact"] & (told["labels"] < 255)
    weight = told["weight"][:, :, 0]
    assert ignored.sum() > 1000
    assert not weight[ignored].any()
    assert (weight[known] > 0).float().mean() > 0.995


def test_what_is_colored_is_shown_by_the_first_view(told) -> None:
    least = MIN_SHARE * (SIZE // 2) ** 2
    for target in told["targets"]:
        colors = target.movedim(1, -1)
        for color in colors.flatten(0, 2).unique(dim=0):
            if color.any():
                assert (colors[0, ::2, ::2] == color).all(-1).sum() > least


def chosen_of(labels: torch.Tensor, value: int, instance: bool, mix: Mix, count: int):
    """Choose for `count` tasks of the same labels, V x S x S."""
    draws = Draws.of(0, torch.arange(count))
    of_things = torch.full((count,), instance)
    return tasks(mix)._chosen(
        draws, labels.expand(count, -1, -1, -1), torch.full((count,), value), of_things
    )


@pytest.mark.parametrize("instance", [False, True])
@pytest.mark.parametrize("value", [0, 40])
def test_choices(instance: bool, value: int) -> None:
    labels = torch.zeros(2, 64, 64, dtype=torch.uint8)
    for number, one in enumerate((40, 90, 140, 9, 200)):
        labels[:, 8 * number : 8 * number + 8] = one
    labels[0, 56:60], labels[1, 40:48] = IGNORE, IGNORE
    labels[1, 48:56] = 77  # in the second view alone
    labels[0, 60:62, :4] = 99  # too few pixels
    mix = replace(NOTHING, max_classes=4)
    index, palette = chosen_of(labels, value, instance, mix, 200)
    assert palette.shape == (200, 1 + CLASSES, 3)
    assert not palette[:, 0].any()
    numbers = set()
    taken = torch.zeros(256)
    for one, colors in zip(index, palette, strict=True):
        table = {}
        for number in labels.unique().tolist():
            (table[number],) = one[labels == number].unique().tolist()
        assert table[0] == table[77] == table[99] == 0
        assert table[IGNORE] == CLASSES + 1
        kept = [number for number in (40, 90, 140, 9, 200) if table[number]]
        assert sorted(table[number] for number in kept) == list(range(1, len(kept) + 1))
        assert not value or value in kept
        assert torch.pdist(colors[: len(kept) + 1]).min() > 0.29  # black is one of them
        numbers.add(len(kept))
        taken[kept] += 1
    assert numbers == ({4} if instance else {1, 2, 3, 4})
    free = taken[[90, 140, 9, 200]]
    assert free.min() > 0.6 * free.max()  # no class is favored but the one in common


def test_weights_are_those_of_single_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    index = torch.zeros(6, 2, 16, 16, dtype=torch.int64)
    for view, count in zip(index.view(12, -1), (0, 1, 3, 9, 20, 40, 70, 90, 150, 200, 255, 256),
                           strict=True):  # fmt: skip
        view[torch.randperm(256, generator=generator)[:count]] = 2
        view[torch.randperm(256, generator=generator)[:30]] = CLASSES + 1
    index[5, 1] = CLASSES + 1
    for foreground in (0.0, 0.3):
        weights = contexts._weights(index, foreground)
        for one, weight in zip(index.flatten(0, 1), weights.flatten(0, 1), strict=True):
            target = ((one > 0) & (one <= CLASSES)).float()[..., None].expand(-1, -1, 3).numpy()
            valid = (one <= CLASSES).numpy()
            expected = pairs._weight(target, valid, np.ones((4, 4), bool), 4, foreground)
            np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5)


def test_contours_lie_along_the_edges_of_the_class_in_common() -> None:
    maker = tasks(replace(NOTHING, contours=1.0))
    draws = Draws.of(0, torch.arange(3))
    labels = torch.zeros(3, 2, 20, 24, dtype=torch.uint8)
    labels[:, 0, 3:9, 4:15], labels[:, 1, 10:20, 0:7] = 40, 40
    labels[:, :, 15:17], labels[:, :, 2:14, 18:22] = IGNORE, 90
    found = maker._contours(draws, labels, torch.tensor([40, 90, 40]))
    for one, before, value in zip(found, labels, (40, 90, 40), strict=True):
        for view, old in zip(one.numpy(), before.numpy(), strict=True):
            inside = np.pad(old == value, 1, mode="edge")
            crossed = np.zeros(old.shape, bool)
            for y, x in np.ndindex(old.shape):
                window = inside[y : y + 3, x : x + 3]
                crossed[y, x] = window.any() and not window.all()
            wide = np.pad(crossed, 1)
            for y, x in np.ndindex(old.shape):
                near = wide[y : y + 3, x : x + 3].any()
                expected = IGNORE if old[y, x] == IGNORE else value if near else 0
                assert view[y, x] == expected
    some = tasks(replace(NOTHING, contours=0.3))
    many = Draws.of(0, torch.arange(400))
    marked = some._contours(many, labels[:1].expand(400, -1, -1, -1), torch.full((400,), 40))
    asked = (marked != labels[:1]).flatten(1).any(1)
    assert asked.float().mean() == pytest.approx(0.3, abs=0.07)


def test_generated_shapes_are_laid_over_real_images(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = tasks(KINDS["overlaid"])
    seen = []
    laid = contexts.unlabeled.overlaid

    def overlaid(draws, images, labels, most):
        seen.append((images, labels))
        return laid(draws, images, labels, most)

    monkeypatch.setattr(contexts.unlabeled, "overlaid", overlaid)
    images, labels, value, instance = maker._part("overlaid", Draws.of(5, INDICES))
    ((before, shapes),) = seen
    assert torch.equal(labels, shapes)
    assert not value.any()
    assert not instance.any()
    assert not before[:, :, 1].any()  # green is nowhere in the pool
    changed, shown = (images != before).any(2), (labels > 0).float()
    assert changed[labels > 0].float().mean() > 0.99
    assert not changed[F.max_pool2d(shown, 3, 1, 1) == 0].any()  # edges may be soft
