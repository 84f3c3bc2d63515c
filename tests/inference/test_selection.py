"""Choosing examples from a pool, on features that are known and on a small random SegGPT."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.inference import selection
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.selection import NearestExamples, Pool, find_pool, image_features, showing
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import normalize

CONFIG = SegGPTConfig(
    canvas=16,
    patch=4,
    dim=16,
    depth=4,
    heads=2,
    out_indices=(2, 3),
    decoder_dim=4,
    pretrain_canvas=16,
)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    generator = torch.Generator().manual_seed(0)
    network = SegGPT(CONFIG).requires_grad_(False)
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return Segmenter(network)


def photo(height: int = 16, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def known_pool(monkeypatch: pytest.MonkeyPatch, features: np.ndarray) -> Pool:
    """Return a pool whose images are numbers: rows of `features`."""

    def look_up(_: object, images: object) -> torch.Tensor:
        return torch.from_numpy(np.stack([features[index] for index in images]))  # type: ignore[attr-defined]

    monkeypatch.setattr(selection, "image_features", look_up)
    return Pool(None, [(number, f"mask {number}") for number in range(len(features))])  # type: ignore[arg-type, misc]


def test_features_are_the_mean_tokens_of_the_last_block(segmenter: Segmenter) -> None:
    images = [photo(seed=n) for n in range(3)]
    network = segmenter.network
    with torch.no_grad():  # the whole canvas by hand: gray above, all of the target hidden below
        for image, feature in zip(images, image_features(segmenter, images), strict=True):
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
            canvas = normalize(torch.cat((torch.full_like(pixels, 0.5), pixels), 2))
            target = normalize(torch.zeros_like(canvas))
            masked = torch.arange(CONFIG.tokens)[None] >= CONFIG.tokens // 2
            tokens = []
            hook = network.norm.register_forward_hook(
                lambda _, __, out, tokens=tokens: tokens.append(out)
            )
            network(canvas, target, masked, torch.tensor([0]), query_only=False)
            hook.remove()
            expected = tokens[-1][0, CONFIG.tokens // 2 :].mean(0)
            np.testing.assert_allclose(feature, expected, atol=1e-5)
    assert not network.norm._forward_hooks


def test_batches_do_not_change_features(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photo(10 + n, 20, n) for n in range(5)]
    at_once = image_features(segmenter, images)
    monkeypatch.setattr(Segmenter, "batch_size", lambda self, prompts: 2)
    np.testing.assert_allclose(image_features(segmenter, images), at_once, atol=1e-5)
    assert image_features(segmenter, []).shape == (0, 16)


def test_the_nearest_by_cosine_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32) + 5
    pool = known_pool(monkeypatch, features)
    centerd = features - features.mean(0)
    cosines = centerd @ centerd[4] / np.linalg.norm(centerd, axis=1) / np.linalg.norm(centerd[4])
    expected = np.argsort(-cosines)[:5].tolist()
    assert expected[0] == 4
    assert [image for image, _ in pool.nearest(4, 5)] == expected  # type: ignore[arg-type]


def test_an_image_of_the_pool_finds_itself(segmenter: Segmenter) -> None:
    examples = [(photo(seed=n), np.ones((16, 16), np.uint8)) for n in range(6)]
    pool = Pool(segmenter, examples)
    for image, mask in examples:
        assert pool.nearest(image, 1) == [(image, mask)] or pool.nearest(image, 1)[0][0] is image


def slow_farthest_points(features: np.ndarray, shots: int) -> list[int]:
    directions = F.normalize(torch.from_numpy(features - features.mean(0)), dim=1).double().numpy()
    distances = 1 - directions @ directions.T
    chosen = [min(range(len(features)), key=lambda index: distances[index].sum())]
    while len(chosen) < shots:
        rest = [index for index in range(len(features)) if index not in chosen]
        chosen.append(max(rest, key=lambda index: min(distances[index][each] for each in chosen)))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_diverse_examples_are_farthest_points(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(seed).standard_normal((15, 4)).astype(np.float32)
    pool = known_pool(monkeypatch, features)
    for shots in (1, 4, 15):
        found = [image for image, _ in pool.diverse(shots)]
        assert found == slow_farthest_points(features, shots)
        assert len(set(found)) == shots


def test_equal_images_are_still_chosen_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = known_pool(monkeypatch, np.ones((4, 3), np.float32))
    assert sorted(image for image, _ in pool.diverse(4)) == [0, 1, 2, 3]  # type: ignore[type-var]
    assert len(pool.nearest(2, 4)) == 4  # type: ignore[arg-type]


def test_random_examples_follow_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = known_pool(monkeypatch, np.eye(30, dtype=np.float32))
    draws = [tuple(image for image, _ in pool.random(8, seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 8


def test_more_shots_than_examples_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = known_pool(monkeypatch, np.eye(3, dtype=np.float32))
    for choose in (pool.diverse, pool.random, lambda n: pool.nearest(0, n)):  # type: ignore[arg-type]
        for shots in (0, 4):
            with pytest.raises(InputError, match=f"{shots} shots of a pool of 3"):
                choose(shots)
    with pytest.raises(InputError, match="no examples"):
        Pool(None, [])  # type: ignore[arg-type]


def test_each_image_gets_its_own_examples(segmenter: Segmenter) -> None:
    masks = [np.pad(np.ones((8, 8), np.uint8), ((n, 8 - n), (4, 4))) for n in range(4)]
    examples = [(photo(seed=n), mask) for n, mask in enumerate(masks)]
    chooser = NearestExamples(
        Pool(segmenter, examples), 1, Palette.of(["a"]), lambda pairs: Prompt.from_examples(pairs)
    )
    results = segmenter.predict([photo(seed=2), photo(seed=0)], chooser)
    for number, result in zip((2, 0), results, strict=True):
        alone = segmenter.predict(photo(seed=number), Prompt.from_examples([examples[number]]))
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-5)


@pytest.mark.parametrize("layout", ["plain", "split"])
def test_a_pool_is_what_a_folder_has_for_training(tmp_path: Path, layout: str) -> None:
    for part in ("train", "test") if layout == "split" else (".",):
        for kind in ("images", "masks"):
            (tmp_path / part / kind).mkdir(parents=True)
            for number in range(6):
                Image.new("L", (4, 4)).save(tmp_path / part / kind / f"image {number}.png")
    found = find_pool(tmp_path)
    assert len(found) == 6
    assert all(image.stem == mask.stem for image, mask in found)
    assert {image.parents[1].name for image, _ in found} == (
        {"train"} if layout == "split" else {tmp_path.name}
    )


def test_examples_that_show_nothing_are_left_out() -> None:
    masks = [np.full((4, 4), value, np.uint8) for value in (0, 1, 255, 2)]
    examples = [(photo(4, 4), mask) for mask in masks]
    assert showing(examples, ["a", "b"]) == [examples[1], examples[3]]
