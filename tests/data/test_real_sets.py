"""The real data sets beside the checkout are read as their descriptions say (a few files a set)."""

from pathlib import Path

import numpy as np
import pytest

from prompttune.data.layouts import find_split, load_sample
from prompttune.data.reading import read_image, read_mask

CAR_PARTS = {0: 0, **{stored: stored - 1 for stored in range(2, 20)}}
ONE_CLASS = {  # name: train and val, test, values, least and most foreground
    "retina-drive": (20, 20, None, (0.05, 0.2)),
    "aerial-roads": (60, 20, None, (0.0, 0.4)),
    "road-cracks": (94, 24, None, (0.0, 0.1)),
    "em-membranes": (24, 6, {0: 1, 255: 0}, (0.1, 0.35)),
}


def data_set(shared_data: Path, name: str) -> Path:
    if not (shared_data / name).is_dir():
        pytest.skip(f"no {name} beside the checkout")
    return shared_data / name


@pytest.mark.parametrize("name", ONE_CLASS)
def test_sets_of_one_class(shared_data: Path, name: str) -> None:
    train, test, values, (least, most) = ONE_CLASS[name]
    split = find_split(data_set(shared_data, name))
    assert [len(split.train) + len(split.val), len(split.test)] == [train, test]
    for sample in (split.train[0], split.val[-1], split.test[len(split.test) // 2]):
        loaded = load_sample(sample, 1, values)
        assert set(np.unique(loaded.class_map)) <= {0, 1}
        assert least < loaded.class_map.mean() < most
        assert loaded.image.std() > 5
        assert (loaded.field_of_view is not None) is (name == "retina-drive")


def test_drive_vessels_are_darker_than_the_retina(shared_data: Path) -> None:
    split = find_split(data_set(shared_data, "retina-drive"))
    loaded = load_sample(split.train[0], 1)
    field, vessels = loaded.field_of_view, loaded.class_map == 1
    assert field is not None
    assert 0.6 < field.mean() < 0.75
    green = loaded.image[:, :, 1]
    assert green[vessels & field].mean() < green[~vessels & field].mean()


def test_second_observer_of_drive_is_a_palette_of_indices(shared_data: Path) -> None:
    folder = data_set(shared_data, "retina-drive") / "test"
    first = read_mask(folder / "masks" / "05_test.gif", 1)
    second = read_mask(folder / "masks_2nd" / "05_test.gif", 1)
    dice = 2 * (first & second).sum() / (first.sum() + second.sum())
    assert 0.7 < dice < 0.9


def test_anti_aliased_roads_are_cut_above_127(shared_data: Path) -> None:
    from PIL import Image

    path = data_set(shared_data, "aerial-roads") / "train" / "masks" / "satImage_001.png"
    with Image.open(path) as image:
        stored = np.asarray(image)
    assert len(np.unique(stored)) > 2
    np.testing.assert_array_equal(read_mask(path, 1), stored > 127)


def test_car_parts(shared_data: Path) -> None:
    split = find_split(data_set(shared_data, "car-parts"))
    assert [len(split.train) + len(split.val), len(split.test)] == [400, 100]
    found: set[int] = set()
    for sample in split.test[:6]:
        found |= set(np.unique(load_sample(sample, 18, CAR_PARTS).class_map).tolist())
    assert found <= set(range(19))
    assert len(found) > 8


@pytest.mark.parametrize("sequence", ["blackswan", "car-roundabout", "horsejump-high"])
def test_video(shared_data: Path, sequence: str) -> None:
    folder = data_set(shared_data, "video-davis")
    image = read_image(folder / "images" / sequence / "00000.jpg")
    class_map = read_mask(folder / "masks" / sequence / "00000.png", 1)
    assert image.shape[:2] == class_map.shape == (480, 854)
    assert 0.01 < class_map.mean() < 0.3


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("ccp_clothing", 58),
        ("camvid", 11),
        ("davis2016_val", 1),
        ("magnetic_tile", 1),
        ("wbc", 2),
        ("digital_rock", 3),
    ],
)
def test_pretraining_pool(shared_data: Path, name: str, classes: int) -> None:
    split = find_split(data_set(shared_data, "pretraining-pool") / name)
    for sample in (split.train[0], split.test[-1]):
        loaded = load_sample(sample, classes)
        assert loaded.class_map.max() <= classes
        assert loaded.class_map.any()
