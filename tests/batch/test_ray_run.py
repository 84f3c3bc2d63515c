"""Runs on a Ray cluster: a killed worker loses nothing and doubles nothing."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from predicting import backbone as backbone

from prompttune.utils.errors import InputError

pytest.importorskip("ray", reason="the extra batch is not here")
SCRIPT, ROOT = Path(__file__).with_name("cluster.py"), Path(__file__).parents[2]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(backbone, tmp_path: Path) -> None:
    """Takes some twenty seconds: two nodes are started, each with a worker of its own."""
    images, output = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for number in range(43):
        pixels = np.random.default_rng(number).integers(0, 256, (90, 90, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02}.png")
    (images / "43.png").write_text("no image")
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_worker_niceness": "0",
    }  # else starved where all cores are busy
    line = [sys.executable, SCRIPT, output, images, backbone]
    run = subprocess.run(line, capture_output=True, text=True, timeout=280, env=env)
    said = [text for text in run.stdout.splitlines() if text.startswith("RESULT")]
    assert said, run.stdout[-2000:] + run.stderr[-4000:]
    killed, *numbers = map(int, said[0].split()[1:])
    assert numbers == [44, 0, 1, 44, 36]
    rows = [
        row for part in sorted(output.glob("part-*")) for row in pq.read_table(part).to_pylist()
    ]
    assert [row["path"] for row in rows] == sorted(map(str, images.iterdir()))
    workers = {int(row["worker"].rpartition(":")[2]) for row in rows}
    assert len(workers) >= 3  # two, and one that took the place of the killed
    assert not any("tmp" in path.name for path in output.iterdir())
    with (output / "bad.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(images / "43.png")]
    assert all(row["masks"] is not None for row in rows[:-1])
    assert killed > 0


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:9", "does not answer"), ("nowhere", "give HOST:PORT")],
)
def test_a_cluster_that_is_not_there(backbone, tmp_path, address: str, why: str, capsys) -> None:
    from prompttune.cli import predict

    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray((pixels[..., 0] > 99).astype(np.uint8)).save(tmp_path / "mask.png")
    example = ["--example", str(tmp_path / "a.png"), str(tmp_path / "mask.png"), "--scale", "1"]
    line = [str(tmp_path / "a.png"), *example, "--backbone", str(backbone), "--ray", address]
    with pytest.raises(InputError, match=why):
        predict.main([*line, "--output", str(tmp_path / "out")])


@pytest.mark.parametrize(
    "words",
    [
        ["--ray", "local", "--flips", "--instances"],
        ["--ray", "local", "--video", "x.mp4"],
        ["--list", "x.txt"],
        ["s3://bucket/a.png"],
        ["--workers", "2"],
    ],
    ids=str,
)
def test_words_that_do_not_go_together(words: list[str], tmp_path: Path) -> None:
    from prompttune.cli import predict

    with pytest.raises(InputError, match="--ray"):
        predict.main(["--prompt", "retina", "--output", str(tmp_path / "out"), *words])
