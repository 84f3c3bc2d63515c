"""A packed pool equals its folder."""

from pathlib import Path

import numpy as np
from pools import pool as pool

from prompttune.pretraining.sources.packing import pack
from prompttune.pretraining.sources.pool import SetConfig, read_pool


def test_a_packed_pool_equals_its_folder(pool: Path, tmp_path: Path) -> None:
    """Same labels, nearly the same images, and files that do not depend on when they were made."""
    sets = [SetConfig("set", background=None, ignore=(11,))]
    packed = pack(pool, sets, tmp_path / "pool.zip", quality=100)
    assert packed.images == 3
    pack(pool, sets, tmp_path / "again.zip", quality=100)
    assert (tmp_path / "pool.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    (folder,), (file,) = read_pool(pool, sets), read_pool(tmp_path / "pool.zip", sets)
    assert folder.contexts == file.contexts
    for one, other in zip(folder.images, file.images, strict=True):
        assert np.array_equal(one.classes.class_map, other.classes.class_map)
        difference = one.images[0].astype(int) - other.images[0]
        assert np.abs(difference).mean() < 12  # chroma is sub-sampled
    again = pack(tmp_path / "pool.zip", sets, tmp_path / "third.zip")
    assert again.images == 3
    (third,) = read_pool(tmp_path / "third.zip", sets)
    assert np.array_equal(third.images[0].images[0], file.images[0].images[0])  # no second JPEG
