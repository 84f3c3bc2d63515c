"""Files under the hash of their bytes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from prompttune.serve.limits import Refused
from prompttune.studio.examples import Store


def test_what_is_brought_twice_is_kept_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.add(b"abc")
    assert name == store.add(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert store.get(name) == b"abc"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "status"), [("../secret", 422), ("A" * 64, 422), ("", 422), ("a" * 64, 410)]
)
def test_no_name_becomes_a_path(tmp_path: Path, name: str, status: int) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(Refused) as caught:
        Store(tmp_path / "inside").get(name)
    assert caught.value.status == status


def test_class_maps_come_row_by_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.add(bytes(range(6)))
    class_map = store.class_map(name, (2, 3))
    assert class_map.tolist() == [[0, 1, 2], [3, 4, 5]]
    class_map[0, 0] = 9  # a copy of one's own
    assert np.array_equal(store.class_map(name, (3, 2)).ravel(), np.arange(6))
    with pytest.raises(Refused, match="not of the image's size"):
        store.class_map(name, (2, 2))
