"""Prototypes: pieces that together match all patches, laid out with their own colors."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from one_way_config import ONE_WAY
from torch import Tensor

from benchmarks.prototypes import chosen, class_shares, prototypes
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.data.samples import LoadedSample
from prompttune.tasks.recipe import Recipe

GRID = 4


def matched(features: Tensor, shares: Tensor, pieces: tuple[int, ...]) -> float:
    """Return how well pieces of 2 x 2 patches match all patches: written slowly."""
    mean = features.flatten(0, 2).mean(0)
    patches = [
        (F.normalize(features[n, y, x] - mean, dim=0), shares[n, y, x])
        for n, y, x in itertools.product(range(len(features)), range(GRID), range(GRID))
    ]
    totals = shares.flatten(0, 2).sum(0)
    total = 0.0
    for feature, share in patches:
        best = 0.0
        for piece in pieces:
            crop, place = divmod(piece, 4)
            top, left = 2 * (place // 2), 2 * (place % 2)
            for y, x in itertools.product((top, top + 1), (left, left + 1)):
                other, its = patches[(crop * GRID + y) * GRID + x]
                alike = max(0.0, float(feature @ other)) * (
                    1 - float((share - its).abs().sum()) / 2
                )
                best = max(best, alike)
        total += best * float((share / totals).sum())
    return total


def test_each_piece_adds_most() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn((3, GRID, GRID, 5), generator=generator)
    shares = torch.rand((3, GRID, GRID, 2), generator=generator).softmax(-1)
    kept = chosen(features, shares, 2, seed=0)
    assert len(kept) == len(set(kept)) == 4
    for count in range(4):
        values = [matched(features, shares, (*kept[:count], piece)) for piece in range(12)]
        assert values[kept[count]] == pytest.approx(max(values), rel=1e-4)


def test_few_patches_of_a_class_count_as_much_as_many() -> None:
    """Of two crops one matches all background, the other the one patch of the class."""
    features = torch.zeros(2, GRID, GRID, 2)
    features[..., 0], shares = 1.0, torch.zeros(2, GRID, GRID, 2)
    shares[..., 0] = 1.0
    features[1, 0, 0], shares[1, 0, 0] = torch.tensor([-1.0, 0]), torch.tensor([0.0, 1])
    assert chosen(features, shares, 1, seed=0) == [1]


def test_shares_are_those_of_the_patch_and_leave_out_what_is_ignored() -> None:
    class_map = torch.zeros(1, 8, 8, dtype=torch.uint8)
    class_map[0, :2, :2], class_map[0, 2, 2], class_map[0, 4:, 4:] = 2, 1, 255
    shares = class_shares(class_map, Recipe(task="x", classes=("a", "b")), 2)
    assert shares[0, 0, 0].tolist() == pytest.approx([11 / 16, 1 / 16, 4 / 16])
    assert shares[0, 1, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("side", [1, 2])
def test_a_prompt_is_made_of_pieces_and_their_colors(side: int) -> None:
    torch.manual_seed(0)
    network = OneWaySegGPT(ONE_WAY).eval()
    rng = np.random.default_rng(0)
    class_map = (rng.random((24, 20)) < 0.3).astype(np.uint8)
    image = rng.integers(0, 128, (24, 20, 3), np.uint8)
    image[class_map == 1] += 128
    recipe = Recipe(task="x", classes=("thing",), scale=1.0)
    prompt = prototypes(recipe, network, [LoadedSample("a", image, class_map)], side)
    canvas = ONE_WAY.canvas
    (own,), (colors,) = prompt.images, prompt.colors
    assert own.shape == colors.shape == (3, canvas, canvas)
    bright = (own > 127.5 / 255).all(0)
    assert torch.equal(bright, colors[0] == 1)
    size, pixels = canvas // side, torch.from_numpy(image).permute(2, 0, 1) / 255
    windows = pixels.unfold(1, size, 1).unfold(2, size, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    for top, left in itertools.product(range(0, canvas, size), repeat=2):
        cell = own[:, top : top + size, left : left + size]
        assert (windows - cell).abs().amax((1, 2, 3)).min() < 1e-6
