"""A small random backbone and a small task, as quick as tuning can be."""

from dataclasses import replace

import numpy as np
import pytest
from small_networks import random_network
from squares import data  # noqa: F401

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.data.layouts import LoadedSample
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=3, heads=2, merge_index=0, out_indices=(0, 2),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


@pytest.fixture
def network() -> SegGPT:
    return random_network(CONFIG)


CLASSES = ("a", "b", "c", "d", "e")


@pytest.fixture
def grouped(recipe: Recipe) -> Recipe:
    """Five classes, at most two a prompt: groups of 2, 2 and 1."""
    return replace(recipe, classes=CLASSES, group=2)


@pytest.fixture
def many() -> TaskData:
    """Images that show two or three of the five classes; the fifth none of them shows."""
    parts = [[stripes(seed) for seed in seeds] for seeds in (range(4), range(4, 6), range(6, 8))]
    return TaskData(*parts, "stripes", "generated", generated=True)


def stripes(seed: int) -> LoadedSample:
    class_map = np.zeros((40, 40), np.uint8)
    for row in range(4):
        class_map[10 * row : 10 * row + 6, 5:35] = (row + seed) % 4 + 1 if row % 2 else seed % 2 + 1
    class_map[:, 38:] = 255
    noise = np.random.default_rng(seed).integers(0, 60, (40, 40, 3), dtype=np.uint8)
    return LoadedSample(f"stripes-{seed}", noise + 45 * (class_map % 5)[..., None], class_map)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(task="squares", max_steps=6, val_every=2, batch=2, val_crops=4, lr=0.05)
