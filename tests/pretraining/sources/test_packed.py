"""What is no pool is one clear error."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pools import pool as pool

from prompttune.pretraining.sources.packed import MANIFEST
from prompttune.pretraining.sources.packing import pack
from prompttune.pretraining.sources.pool import SetConfig, read_pool
from prompttune.utils.errors import InputError


def test_wrong_pools_are_one_clear_error(pool: Path, tmp_path: Path) -> None:
    sets = [SetConfig("set")]
    pack(pool, sets, tmp_path / "pool.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as other:
        other.writestr(MANIFEST, "[]")
    packed = (tmp_path / "list.zip").read_bytes()
    # Flag bit 0, in both headers: encrypted. zipfile cannot write such a file itself.
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = packed.index(mark) + offset
        packed = packed[:place] + bytes([packed[place] | 1]) + packed[place + 1 :]
    (tmp_path / "locked.zip").write_bytes(packed)
    wrong = [
        (tmp_path / "list.zip", sets, "no packed pool"),
        (tmp_path / "locked.zip", sets, "no packed pool"),
        (tmp_path / "nowhere", sets, "no such folder"),
        (tmp_path / "text.zip", sets, "no packed pool"),
        (tmp_path / "pool.zip", [SetConfig("other")], "there are set"),
        (tmp_path / "pool.zip", [SetConfig("set", background=None)], "other background"),
        (pool, [SetConfig("missing")], "no images/"),
        (pool, [SetConfig("set", annotations="none.json")], "none.json"),
    ]
    for path, asked, complaint in wrong:
        with pytest.raises(InputError, match=complaint):
            read_pool(path, asked)
    (pool / "set" / "masks" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png: missing"):
        read_pool(pool, sets)
    cv2.imwrite(str(pool / "set" / "masks" / "b.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(InputError, match="size of its image"):
        read_pool(pool, sets)
