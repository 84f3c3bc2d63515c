"""Training samples: deterministic, one colour map for both images, rightly masked and weighted."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from prompttune.errors import InputError
from prompttune.pretraining.generated import Task
from prompttune.pretraining.pairs import MAX_CLASSES, Mix, PairDataset, random_colours
from prompttune.pretraining.pool import IGNORE, SetConfig, read_pool
from prompttune.pretraining.shapes import FAMILIES, TRAITS

CANVAS, PATCH = 32, 8


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images in which red is class 1, green class 2 and blue 11, to be ignored."""
    folder = tmp_path_factory.mktemp("pool")
    for part in ("images", "masks"):
        (folder / "set" / part).mkdir(parents=True)
    for number in range(3):
        classes = np.zeros((60, 80), np.uint8)
        classes[5 + number : 40, 5:40] = 1
        classes[30:55, 45 + number : 70] = 2
        classes[:5] = 11
        colours = np.zeros((12, 3), np.uint8)
        colours[[1, 2, 11]] = np.eye(3) * 250
        cv2.imwrite(str(folder / "set" / "images" / f"{number}.png"), colours[classes][..., ::-1])
        cv2.imwrite(str(folder / "set" / "masks" / f"{number}.png"), classes)
    return folder


def real(pool: Path, **mix: float) -> PairDataset:
    sets = read_pool(pool, [SetConfig("set", ignore=(11,))])
    return PairDataset(sets, CANVAS, PATCH, Mix(generated=0.0, **mix), seed=0)


def generated(**mix: float) -> PairDataset:
    return PairDataset((), CANVAS, PATCH, Mix(**mix), seed=0)


def test_sample_depends_on_seed_and_index_alone(pool: Path) -> None:
    first, again = real(pool), real(pool)
    _ = again[3]
    for name, value in first[7].items():
        assert torch.equal(value, again[7][name])
    other = PairDataset(first.sets, CANVAS, PATCH, Mix(generated=0.0), seed=1)
    assert not torch.equal(first[7]["image"], other[7]["image"])


def test_shapes_and_ranges() -> None:
    for item in map(generated().__getitem__, range(20)):
        assert item["image"].shape == item["target"].shape == (3, 2 * CANVAS, CANVAS)
        assert item["weight"].shape == (1, 2 * CANVAS, CANVAS)
        assert item["masked"].shape == (2 * (CANVAS // PATCH) ** 2,)
        assert 0 <= item["image"].min() <= item["image"].max() <= 1
        assert item["image"].dtype == item["target"].dtype == torch.float32


def test_one_colour_map_serves_both_images(pool: Path) -> None:
    """On images whose colour is their class, prompt and query colour each class alike."""
    samples = real(pool, unlabelled=0.0)
    samples_seen = 0
    for index in range(30):
        item = samples[index]
        prompt, query = (
            set(map(tuple, half.flatten(1).T.tolist())) for half in item["target"].chunk(2, 1)
        )
        assert prompt - {(0.0, 0.0, 0.0)} == query - {(0.0, 0.0, 0.0)}
        samples_seen += len(query) > 1
    assert samples_seen > 15


def test_no_colour_is_near_the_background_or_another() -> None:
    for seed in range(200):
        table = random_colours(np.random.default_rng(seed))
        assert not table[0].any()
        assert not table[IGNORE].any()
        points = table[: MAX_CLASSES + 1]
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 9 * np.eye(len(points))
        assert apart.min() > 0.4


def test_masks_are_whole_query_or_random_patches() -> None:
    half = torch.arange(2 * (CANVAS // PATCH) ** 2) >= (CANVAS // PATCH) ** 2
    assert all(torch.equal(generated(half_masked=1.0)[i]["masked"], half) for i in range(5))
    patches = [generated(half_masked=0.0, patch_ratio=0.75)[i]["masked"] for i in range(5)]
    assert all(int(each.sum()) == int(0.75 * len(half)) for each in patches)
    assert not torch.equal(patches[0], patches[1])


def test_weight_counts_hidden_valid_pixels_and_lifts_the_foreground(pool: Path) -> None:
    samples = real(pool, foreground=0.3)
    for index in range(30):
        item = samples[index]
        side = CANVAS // PATCH
        hidden = (
            item["masked"]
            .view(2 * side, side)
            .repeat_interleave(PATCH, 0)
            .repeat_interleave(PATCH, 1)
        )
        weight = item["weight"][0]
        assert not weight[~hidden].any()
        coloured = (item["target"].amax(0) > 0) & hidden
        boost = weight[coloured & (weight > 0)]
        if len(boost):
            share = weight[coloured].sum() / weight.sum()
            assert share >= 0.299 or boost.max() == pytest.approx(10)


def test_ignored_pixels_have_no_weight(pool: Path) -> None:
    samples = real(pool, unlabelled=0.0, half_masked=1.0)
    ignored = 0
    for index in range(40):
        item = samples[index]
        ignored += int((item["weight"][0, CANVAS:] == 0).sum())
    assert ignored > 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_shapes_are_masks_that_differ_from_draw_to_draw(family) -> None:
    rng = np.random.default_rng(0)
    masks = [family(rng, 48, np.full(TRAITS, 0.4)) for _ in range(6)]
    assert all(mask.shape == (48, 48) and mask.dtype == bool for mask in masks)
    assert any((mask != masks[0]).any() for mask in masks[1:])
    assert any(mask.any() and not mask.all() for mask in masks)


def test_scenes_of_a_task_share_its_classes() -> None:
    rng = np.random.default_rng(1)
    for hard in (False, True):
        task = Task.draw(rng, hard)
        image, class_map = task.scene(rng, 40)
        assert image.shape == (40, 40, 3)
        assert set(np.unique(class_map)) <= {0, *(layer.label for layer in task.layers)}


def test_a_pool_that_lacks_something_is_one_clear_error(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images/"):
        read_pool(tmp_path, [SetConfig("missing")])
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / "a.png").write_bytes(
        (pool / "set" / "images" / "0.png").read_bytes()
    )
    with pytest.raises(InputError, match=r"a\.png: missing"):
        read_pool(tmp_path, [SetConfig("set")])


def test_values_become_classes_as_configured(pool: Path) -> None:
    (with_background,) = read_pool(pool, [SetConfig("set")])
    (every_value,) = read_pool(pool, [SetConfig("set", background=None, ignore=(11,))])
    assert set(np.unique(with_background.images[0].classes.class_map)) == {0, 1, 2, 11}
    assert set(np.unique(every_value.images[0].classes.class_map)) == {1, 2, 3, IGNORE}
    assert sorted(value for value, _ in every_value.contexts) == [1, 2, 3]


def test_video_contexts_stay_within_a_sequence(tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / "set" / part).mkdir(parents=True)
        for name in ("dog_1", "dog_2", "cat_1", "cat_2"):
            shape = (40, 40, 3) if part == "images" else (40, 40)
            cv2.imwrite(str(tmp_path / "set" / part / f"{name}.png"), np.ones(shape, np.uint8))
    (video,) = read_pool(tmp_path, [SetConfig("set", video=True)])
    assert [who for _, who in video.contexts] == [(0, 1), (2, 3)]
