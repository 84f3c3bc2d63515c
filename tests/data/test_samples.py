"""Samples: masks in layers, fields of view, and sizes that do not fit."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.layouts import LoadedSample
from prompttune.data.samples import Sample, hash_data, load_sample
from prompttune.tasks.data import TaskData
from prompttune.utils.errors import InputError


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return save(tmp_path / "image.png", np.full((4, 6, 3), 90, np.uint8))


def test_of_layers_the_later_class_lies_above(tmp_path: Path, image: Path) -> None:
    one, two = np.zeros((2, 4, 6), np.uint8)
    one[:, :3], two[:, 2:4] = 255, 255
    layers = ((save(tmp_path / "1.png", one), 1), (save(tmp_path / "2.png", two), 2))
    sample = load_sample(Sample("a", image, image, layers=layers), 2)
    assert sample.class_map.tolist() == [[1, 1, 2, 2, 0, 0]] * 4


def test_a_field_of_view_stands_beside_the_classes(tmp_path: Path, image: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((4, 6), 255, np.uint8))
    seen = np.zeros((4, 6), np.uint8)
    seen[1:3] = 255
    view = save(tmp_path / "view.png", seen)
    sample = load_sample(Sample("a", image, mask, view), 1)
    assert sample.class_map.all()
    assert sample.field_of_view is not None
    assert np.array_equal(sample.field_of_view, seen > 0)


@pytest.mark.parametrize("wrong", ["mask", "view", "layer"])
def test_other_sizes_are_named(tmp_path: Path, image: Path, wrong: str) -> None:
    fits = save(tmp_path / "fits.png", np.full((4, 6), 255, np.uint8))
    small = save(tmp_path / "small.png", np.full((3, 6), 255, np.uint8))
    sample = {
        "mask": Sample("a", image, small),
        "view": Sample("a", image, fits, small),
        "layer": Sample("a", image, fits, layers=((small, 1),)),
    }[wrong]
    with pytest.raises(InputError, match=r"image\.png has 6 x 4 .*small\.png has 6 x 3"):
        load_sample(sample, 1)


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
