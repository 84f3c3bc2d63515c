"""Pools: folders of every layout, packed files, and what is wrong with them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pools import pool as pool
from pools import write_set

from prompttune.pretraining.dataset import Mix, PairDataset
from prompttune.pretraining.sources.pool import SetConfig, read_pool


@pytest.mark.parametrize("names", [("dog_1", "dog_2", "cat_1", "cat_2"), ("d/1", "d/2", "e/1")])
def test_video_contexts_stay_within_a_sequence(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_set(tmp_path / "set", names)
    (video,) = read_pool(tmp_path, [SetConfig("set", video=True, ignore=(11,))])
    groups = [(0, 1), (2, 3)] if len(names) == 4 else [(0, 1)]
    assert [who for _, who in video.contexts] == groups


def test_images_without_masks_give_samples(tmp_path: Path) -> None:
    write_set(tmp_path / "set", ("a",), masks=False)
    sets = read_pool(tmp_path, [SetConfig("set")])
    samples = PairDataset(sets, 32, 8, Mix(generated=0.0, instances=0.5), seed=0)
    items = [samples[i] for i in range(12)]
    assert {int(item["seg_type"]) for item in items} == {0, 1}
    assert sum(bool(item["target"].any()) for item in items) > 8


def test_instance_masks_beside_the_masks_give_instance_samples(pool: Path) -> None:
    (pool / "set" / "instances").mkdir()
    instances = np.zeros((40, 60), np.uint8)
    instances[10:20, 5:25], instances[25:35, 5:25] = 1, 2
    for name in "abc":
        cv2.imwrite(str(pool / "set" / "instances" / f"{name}.png"), instances)
    sets = read_pool(pool, [SetConfig("set")])
    assert sets[0].with_instances == (0, 1, 2)
    samples = PairDataset(sets, 32, 8, Mix(generated=0.0, instances=1.0, unlabeled=0.0), seed=0)
    assert {int(samples[i]["seg_type"]) for i in range(4)} == {1}
