"""Tables of the Hub."""

import io
from pathlib import Path

import numpy as np
import pytest
from pair_lists import INSIDE
from PIL import Image

from prompttune.data.layouts import find_split, load_sample


def as_bytes(image: Image.Image) -> dict[str, object]:
    content = io.BytesIO()
    image.save(content, "PNG")
    return {"bytes": content.getvalue(), "path": None}


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_of_the_hub(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(4)]
    columns = {
        "image": [as_bytes(Image.fromarray(each)) for each in pixels],
        "label": [as_bytes(Image.fromarray(INSIDE)) for _ in pixels],
    }
    table, data = pa.table(columns), tmp_path / "set"
    if kind == "parquet":
        (data / "data").mkdir(parents=True)
        pq.write_table(table, data / "data" / "train-00000-of-00001.parquet")
    else:
        (data / "train").mkdir(parents=True)
        with pa.ipc.new_stream(data / "train" / "data-00000-of-00001.arrow", table.schema) as out:
            out.write_table(table)
    for _ in range(2):  # the second time from the cache
        split = find_split(data)
        both = sorted({*split.train, *split.val, *split.test}, key=lambda sample: sample.name)
        loaded = [load_sample(each, 1) for each in both]
        assert all(np.array_equal(a.image, b) for a, b in zip(loaded, pixels, strict=True))
        np.testing.assert_array_equal(loaded[0].class_map, INSIDE)
