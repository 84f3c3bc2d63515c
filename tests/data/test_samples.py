"""Samples: masks in layers, fields of view, and sizes that do not fit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.samples import Sample, load_sample
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
