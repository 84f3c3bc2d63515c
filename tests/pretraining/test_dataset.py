"""Training samples: deterministic, one color map for both images, rightly masked and weighted."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from prompttune.pretraining.dataset import Mix, PairDataset, mixed_views
from prompttune.pretraining.sampling import SEMANTIC, Context
from prompttune.pretraining.sources.pool import SetConfig, read_pool
from prompttune.utils.errors import InputError

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
        colors = np.zeros((12, 3), np.uint8)
        colors[[1, 2, 11]] = np.eye(3) * 250
        cv2.imwrite(str(folder / "set" / "images" / f"{number}.png"), colors[classes][..., ::-1])
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


def test_one_color_map_serves_both_images(pool: Path) -> None:
    """On images whose color is their class, prompt and query color each class alike."""
    samples = real(pool, unlabeled=0.0)
    samples_seen = 0
    for index in range(30):
        item = samples[index]
        prompt, query = (
            set(map(tuple, half.flatten(1).T.tolist())) for half in item["target"].chunk(2, 1)
        )
        assert prompt - {(0.0, 0.0, 0.0)} == query - {(0.0, 0.0, 0.0)}
        samples_seen += len(query) > 1
    assert samples_seen > 15


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
        colored = (item["target"].amax(0) > 0) & hidden
        boost = weight[colored & (weight > 0)]
        if len(boost):
            share = weight[colored].sum() / weight.sum()
            assert share >= 0.299 or boost.max() == pytest.approx(10)


def test_ignored_pixels_have_no_weight(pool: Path) -> None:
    samples = real(pool, unlabeled=0.0, half_masked=1.0)
    ignored = 0
    for index in range(40):
        item = samples[index]
        ignored += int((item["weight"][0, CANVAS:] == 0).sum())
    assert ignored > 0


def test_one_value_of_the_mix_decides_each_ablation(pool: Path) -> None:
    """Instances, mixing, colors, masks, sources: what was asked for is what comes."""
    assert {int(generated(instances=1.0)[i]["seg_type"]) for i in range(5)} == {1}
    assert {int(generated(instances=0.0)[i]["seg_type"]) for i in range(5)} == {0}
    regions = real(pool, unlabeled=1.0, instances=1.0)
    assert {int(regions[i]["seg_type"]) for i in range(5)} == {1}
    fixed = real(pool, unlabeled=0.0, colors="fixed", contours=0.0, instances=0.0)
    colors = {
        color for i in range(20) for color in map(tuple, fixed[i]["target"].flatten(1).T.tolist())
    }
    assert len(colors) == 3  # black and those of the two classes
    mixed = real(pool, mix_context=1.0, unlabeled=0.0, instances=0.0)[0]
    assert mixed["image"].shape == (3, 2 * CANVAS, CANVAS)


def test_instances_have_colors_of_their_own() -> None:
    """In samples of single things more colors are seen than any task has classes."""
    samples = generated(instances=1.0, max_classes=12)
    counts = [len(set(map(tuple, samples[i]["target"].flatten(1).T.tolist()))) for i in range(40)]
    assert max(counts) > 6


def test_a_sample_seldom_asks_for_nothing(pool: Path) -> None:
    empty = [not item["target"].any() for item in map(generated().__getitem__, range(60))]
    assert np.mean(empty) < 0.1


@pytest.mark.parametrize(
    ("value", "complaint"),
    [({"generated": 1.5}, "mix.generated"), ({"max_classes": 0}, "max_classes")],
)
def test_a_wrong_mix_is_one_clear_error(value: dict[str, float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Mix(**value)


@pytest.mark.parametrize("contexts", [1, 2])
def test_mixed_samples_show_several_images_under_one_map(contexts: int) -> None:
    """Views of one color each, whose class is their color: still so after stitching."""

    def flat(number: int) -> Context:
        def view(rng, half: int, size: int):
            return np.full((size, size, 3), number / 4, np.float32), np.full(
                (size, size), number, np.uint8
            )

        return Context(SEMANTIC, view)

    for seed in range(10):
        halves = mixed_views(np.random.default_rng(seed), [flat(1), flat(2)][:contexts], 32)
        for image, classes in halves:
            assert image.shape == (32, 32, 3)
            assert classes.dtype == np.uint16
            assert set(np.unique(classes)) <= {1, 256 + 2}
            assert (np.abs(image[..., 0] * 4 - classes % 256) < 1e-3).mean() > 0.9
