"""The data hash is what `sha256sum` gives, for folders and for generated images."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompttune.data.hashing import hash_data
from prompttune.data.layouts import LoadedSample
from prompttune.tasks.data import TaskData


def test_hash_equals_sha256sum(tmp_path: Path) -> None:
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum on this machine")
    contents = {"b/1.png": b"one", "a 2.png": b"", "Z": b"three", "é": b"4"}
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    command = "LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum"
    names = "\n".join(contents) + "\n"
    shell = subprocess.run(
        ["bash", "-c", command],
        input=names,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert hash_data({name: tmp_path / name for name in contents}) == shell.stdout.split()[0]
    assert hash_data(contents) == shell.stdout.split()[0]


def test_hash_sees_names_and_bytes() -> None:
    digests = {hash_data(e) for e in ({"a": b"x"}, {"b": b"x"}, {"a": b"y"}, {})}
    assert len(digests) == 4
    assert hash_data({}) == hashlib.sha256().hexdigest()


def test_hash_of_a_task_covers_what_tuning_sees_and_no_test_image() -> None:
    image, class_map = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    a, b, c = (LoadedSample(name, image, class_map) for name in "abc")
    data = TaskData([a], [b], [c], "squares", "generated", generated=True)
    assert data.sha256() == replace(data, test=[]).sha256()
    assert data.sha256() == hash_data(
        {f"{n}/{k}": bytes(v) for n in "ab" for k, v in (("image", 48), ("class_map", 16))}
    )
    changed = LoadedSample("b", image, class_map + np.uint8(1))
    assert data.sha256() != replace(data, val=[changed]).sha256()
