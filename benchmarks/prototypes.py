"""A start that no image shows: the pieces of training images that match most of them.

Features of the frozen network tell how much alike two patches are. Pieces are chosen one after the
other, each the one that adds most to how well all patches are matched (greedy facility location,
Cornuejols, Fisher and Nemhauser 1977), and laid out as one prompt.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from prompttune.backbone import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.data.crops import CropDataset
from prompttune.data.samples import LoadedSample
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.recipe import Recipe
from prompttune.utils.constants import IGNORE
from prompttune.utils.normalize import normalize
from prompttune.utils.tiling import tiled

CROPS, BATCH = 64, 16
"""Of training images, that pieces are cut from."""
TARGETS = 4096
"""Of their patches, that pieces are to match."""


@torch.no_grad()
def prototypes(recipe: Recipe, network: SegGPT, train: Sequence[LoadedSample], side: int) -> Prompt:
    """Return a prompt of `side * side` pieces of training images.

    Args:
        recipe: names classes, scale and seed.
        network: frozen, of the one-way kind; compares patches.
        train: images with class maps.
        side: pieces in a row; 1: one whole crop, the one that matches best.
    """
    assert isinstance(network, OneWaySegGPT)  # others see no image apart from its colors
    config, palette = network.config, Palette.of(recipe.classes)
    crops = CropDataset(train, config.canvas, recipe.scale, recipe.seed, CROPS)
    batches = list(DataLoader(crops, BATCH))
    images = torch.cat([batch["image"] for batch in batches])
    maps = torch.cat([batch["class_map"] for batch in batches])
    encoded = [network.encode_images(normalize(batch["image"])).last for batch in batches]
    grid = config.canvas // config.patch
    features = torch.cat(encoded).reshape(CROPS, grid, grid, -1)
    shares = class_shares(maps, recipe, grid)
    kept = chosen(features, shares, side, recipe.seed)
    colors = torch.stack([palette.paint(each) for each in maps.numpy()])
    halves = []
    for pixels in (images, colors):
        cells = _pieces(pixels.movedim(1, -1), side)
        size = config.canvas // side
        cells = cells.unflatten(1, (size, size)).movedim(-1, 1)
        halves.append((tiled([cells[piece] for piece in kept], side),))
    return Prompt(
        *halves, palette, scale=recipe.scale, canvas=config.canvas, seg_type=recipe.seg_type
    )


def class_shares(maps: Tensor, recipe: Recipe, grid: int) -> Tensor:
    """Return how much of each patch each class has, the background first.

    Args:
        maps: `N x S x S uint8`; what is ignored counts for none.
        recipe: names the classes.
        grid: patches a side.

    Returns:
        `N x grid x grid x classes + 1`, in [0, 1].
    """
    labels = torch.arange(len(recipe.classes) + 1)
    known = (maps[..., None] == labels) & (maps[..., None] != IGNORE)
    return F.adaptive_avg_pool2d(known.float().movedim(-1, 1), grid).movedim(1, -1)


def chosen(features: Tensor, shares: Tensor, side: int, seed: int) -> list[int]:
    """Choose pieces that together match the patches of all crops.

    A patch is matched by the most alike of the chosen: the cosine of the two, less where their
    classes differ. Each class counts the same, however few patches show it.

    Args:
        features: `N x grid x grid x C`.
        shares: `N x grid x grid x classes + 1`, as `class_shares` gives them.
        side: pieces in a row of a crop; as many as a whole crop has are chosen.
        seed: of the patches that are to be matched.

    Returns:
        `side * side` indices of pieces, counted crop by crop and row by row.
    """
    flat, known = features.flatten(0, 2), shares.flatten(0, 2)
    flat = F.normalize(flat - flat.mean(0), dim=1)
    order = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))[:TARGETS]
    weights = (known[order] / known[order].sum(0).clamp_min(1e-6)).sum(1)
    pieces = [_pieces(each, side) for each in (flat.view_as(features), known.view_as(shares))]
    matched = torch.stack([
        (_alike(own, flat[order]) * _same(its, known[order])).amax(0)
        for own, its in zip(*pieces, strict=True)
    ])  # fmt: skip
    best, kept = torch.zeros(len(order)), list[int]()
    for _ in range(side**2):
        gains = ((matched - best).clamp_min(0) * weights).sum(1)
        kept.append(int(gains.argmax()))
        best = torch.maximum(best, matched[kept[-1]])
    return kept


def _pieces(values: Tensor, side: int) -> Tensor:
    """Cut `N x grid x grid x C` into `N side^2 x patches x C`."""
    size = values.shape[1] // side
    cut = values.unflatten(1, (side, size)).unflatten(3, (side, size)).transpose(2, 3)
    return cut.flatten(3, 4).flatten(0, 2)


def _alike(these: Tensor, those: Tensor) -> Tensor:
    return (these @ those.T).clamp_min(0)


def _same(these: Tensor, those: Tensor) -> Tensor:
    return 1 - torch.cdist(these, those, p=1) / 2
