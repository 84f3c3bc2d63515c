"""Mask values become classes."""

from pathlib import Path

import numpy as np
from pools import pool as pool

from prompttune.pretraining.sources.pool import IGNORE, SetConfig, read_pool


def test_values_become_classes_as_configured(pool: Path) -> None:
    def read(**config) -> tuple[set[int], list[int]]:
        (one,) = read_pool(pool, [SetConfig("set", **config)])
        return set(np.unique(one.images[0].classes.class_map).tolist()), [
            value for value, _ in one.contexts
        ]

    assert read() == ({0, 1, 11}, [1, 11])
    assert read(background=None, ignore=(11,)) == ({1, 2, IGNORE}, [1, 2])
    assert read(background=1) == ({0, 1, 12}, [1, 12])
    assert read(binary=True) == ({0}, [])
    (few,) = read_pool(pool, [SetConfig("set", most=2)])
    assert len(few.images) == 2
