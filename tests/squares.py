"""A small task that tuning learns in a few steps: bright squares on noise."""

import numpy as np
import pytest

from prompttune.data.samples import LoadedSample
from prompttune.tasks.data import TaskData


def square(seed: int) -> LoadedSample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (40, 40, 3), dtype=np.uint8)
    class_map = np.zeros((40, 40), np.uint8)
    top, left = rng.integers(0, 25, 2)
    image[top : top + 15, left : left + 15] += 120
    class_map[top : top + 15, left : left + 15] = 1
    return LoadedSample(f"square-{seed}", image, class_map)


@pytest.fixture
def data() -> TaskData:
    parts = [[square(seed) for seed in seeds] for seeds in (range(3), range(3, 5), range(5, 7))]
    return TaskData(*parts, "squares", "generated", generated=True)
