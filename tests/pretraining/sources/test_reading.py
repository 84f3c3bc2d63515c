"""Mask values become classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pools import pool as pool

from prompttune.pretraining.sources.pool import IGNORE, SetConfig, read_pool
from prompttune.pretraining.sources.reading import decode_indices


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


@pytest.mark.parametrize(("mode", "bits"), [("P", 8), ("P", 4), ("P", 2), ("P", 1), ("L", 8)])
def test_masks_keep_their_indices(tmp_path: Path, mode: str, bits: int) -> None:
    """Whatever the depth, what Pillow wrote as indices is read as indices."""
    values = np.random.default_rng(0).integers(0, 2**bits, (13, 21)).astype(np.uint8)
    image = Image.fromarray(values, "L") if mode == "L" else Image.new("P", (21, 13))
    if mode == "P":
        image.putdata(values.ravel().tolist())
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    image.save(tmp_path / "mask.png", bits=bits)
    encoded = (tmp_path / "mask.png").read_bytes()
    assert encoded[24] == bits
    assert np.array_equal(decode_indices(encoded), values)


@pytest.mark.parametrize("encoded", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_mask_is_none(encoded: bytes) -> None:
    assert decode_indices(encoded) is None
