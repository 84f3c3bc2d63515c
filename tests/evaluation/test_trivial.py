import itertools
import math

import numpy as np
import pytest
import torch

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.one_way import OneWaySegGPT, build
from prompttune.evaluation.trivial import BINS, SCALE, AllForeground, NearestColor, feature_matching
from prompttune.pretraining.init import initialize
from prompttune.utils.errors import InputError


def test_all_foreground_is_all_ones():
    scores = AllForeground([np.ones((2, 2), np.uint8)], 1).scores(np.zeros((3, 4, 3), np.uint8))
    assert scores.shape == (1, 3, 4)
    assert (scores == 1).all()


def test_all_foreground_takes_the_most_common_class():
    maps = [np.array([[0, 0, 0, 1, 2]], np.uint8), np.array([[2, 3, 255, 255]], np.uint8)]
    scores = AllForeground(maps, 3).scores(np.zeros((2, 2, 3), np.uint8))
    assert scores.sum(axis=(1, 2)).tolist() == [0, 4, 0]


def test_far_colors_are_told_apart():
    red, blue = (200, 30, 30), (30, 30, 200)
    class_map = np.zeros((40, 40), np.uint8)
    class_map[12:24] = 1
    image = np.where(class_map[..., None] == 1, red, blue).astype(np.uint8)

    query = np.array([[red, blue, (203, 28, 33)]], np.uint8)
    scores = NearestColor(image, class_map, None, 1).scores(query)

    assert scores.shape == (1, 1, 3)
    assert scores.dtype == np.float32
    assert scores[0, 0, 0] > 0.85
    assert scores[0, 0, 1] < 0.05
    assert scores[0, 0, 2] > 0.5


def test_a_color_that_the_example_lacks_is_judged_by_the_nearest():
    class_map = np.zeros((200, 200), np.uint8)
    class_map[60:120] = 1
    image = np.where(class_map[..., None] == 1, (200, 30, 30), (30, 30, 200)).astype(np.uint8)
    query = np.array([[(160, 50, 50), (50, 50, 160)]], np.uint8)
    scores = NearestColor(image, class_map, None, 1).scores(query)
    assert scores[0, 0, 0] > 0.7
    assert scores[0, 0, 1] < 0.1


def test_pixels_that_do_not_count_teach_nothing():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (20, 20, 3), np.uint8)
    class_map = random.integers(0, 2, (20, 20), np.uint8)
    view = random.random((20, 20)) < 0.7
    class_map[:3] = 255
    elsewhere, other = class_map.copy(), image.copy()
    elsewhere[~view] = 1
    other[~view] = 77
    other[:3] = 99

    before = NearestColor(image, class_map, view, 1).scores(image)
    assert (NearestColor(other, elsewhere, view, 1).scores(image) == before).all()


def test_posterior_agrees_with_a_slow_oracle():
    random = np.random.default_rng(1)
    image = random.integers(60, 200, (12, 12, 3), np.uint8)
    class_map = random.integers(0, 3, (12, 12), np.uint8)
    query = np.concatenate([image[:1, :3], random.integers(0, 256, (1, 3, 3), np.uint8)])

    def weight(one: int, other: int, width: int) -> float:
        def bell(place: int) -> float:
            return math.exp(-((place - other * BINS // 256) ** 2) / (2 * width**2))

        return bell(one * BINS // 256) / sum(bell(place) for place in range(BINS))

    def posterior(color: list[int]) -> list[float]:
        answer = [float((class_map == label).mean()) for label in range(3)]
        for width in (8, 4, 2, 1):
            near = [0.0, 0.0, 0.0]
            for pixel, label in zip(image.reshape(-1, 3).tolist(), class_map.flat, strict=True):
                near[label] += math.prod(
                    weight(*pair, width) for pair in zip(color, pixel, strict=True)
                )
            answer = [(n + a) / (sum(near) + 1) for n, a in zip(near, answer, strict=True)]
        return answer

    scores = NearestColor(image, class_map, None, 2).scores(query)

    for row, column in itertools.product(range(2), range(3)):
        expected = posterior(query[row, column].tolist())[1:]
        assert scores[:, row, column] == pytest.approx(expected, rel=1e-5)


def test_scores_are_probabilities():
    random = np.random.default_rng(2)
    image = random.integers(0, 256, (40, 40, 3), np.uint8)
    scores = NearestColor(image, random.integers(0, 4, (40, 40), np.uint8), None, 3).scores(image)
    assert scores.min() >= 0
    assert scores.sum(axis=0).max() <= 1 + 1e-6


CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=3, heads=2, one_way=True, apart=2, match_indices=(0, 1),
    out_indices=(2,), decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


def test_each_patch_takes_the_colors_of_those_like_it() -> None:
    network = build(CONFIG)
    initialize(network, 0)
    assert isinstance(network, OneWaySegGPT)
    generator = torch.Generator().manual_seed(1)
    images, colors = torch.rand(2, 2, 3, 16, 16, generator=generator)
    query = torch.rand(1, 3, 16, 16, generator=generator)
    answer = feature_matching(network).ensemble(query, images, colors)
    with torch.no_grad():
        theirs = network.encode_images(images).match
        mine = network.encode_images(query).match
    assert theirs is not None
    assert mine is not None
    keys = torch.cat([theirs[0], theirs[1]], 1)  # depths x 32 x dim
    patches = torch.cat([each.unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)).flatten(1).T
                         for each in colors])  # fmt: skip
    expected = torch.zeros(16, 3)
    for patch in range(16):
        alike = torch.stack([keys[d] @ mine[0, d, patch] for d in range(2)]).mean(0)
        expected[patch] = (SCALE * alike).softmax(0) @ patches
    smooth = torch.nn.functional.interpolate(
        expected.T.reshape(1, 3, 4, 4), (16, 16), mode="bilinear", align_corners=False
    )[0]
    assert (answer[0] - smooth).abs().max() < 1e-5


def test_an_official_backbone_is_refused() -> None:
    official = build(SegGPTConfig(canvas=16, patch=4, dim=16, depth=3, heads=2, out_indices=(2,)))
    with pytest.raises(InputError, match="row matching: untrained matches no features"):
        feature_matching(official)
