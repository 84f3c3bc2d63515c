"""A task's images: generated ones, and a folder's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.tasks import data as tasks_data
from prompttune.tasks.data import (
    FIRST_TEST_SEED,
    GENERATED_TEST,
    GENERATED_TRAIN,
    GENERATED_VAL,
    task_data,
)
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError


def test_generated_parts_share_no_image() -> None:
    data = task_data(Recipe("eyes", classes=("vessel",), generator="fundus"), None)
    assert data.generated
    parts = [data.train, data.val, data.test]
    assert [len(part) for part in parts] == [GENERATED_TRAIN, GENERATED_VAL, GENERATED_TEST]
    names = [sample.name for part in parts for sample in part]
    assert len(set(names)) == len(names)
    assert GENERATED_TRAIN + GENERATED_VAL < FIRST_TEST_SEED
    again = task_data(Recipe("eyes", classes=("vessel",), generator="fundus", seed=1), None)
    assert again.sha256() != data.sha256()


def test_a_task_without_a_generator_asks_for_data() -> None:
    with pytest.raises(InputError, match="no generated images; give --data DIR"):
        task_data(Recipe("plain"), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        for part, value in (("images", 40 * number), ("masks", 255)):
            pixels = np.zeros((8, 8), np.uint8)
            pixels[2:6, number : number + 2] = value
            path = tmp_path / "set" / part / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "set"


def test_a_folder_is_split_and_hashed_by_what_tuning_may_see(folder: Path) -> None:
    data = task_data(Recipe("custom"), folder)
    assert (data.name, data.generated) == ("set", False)
    assert len(data.train) + len(data.val) + len(data.test) == 6
    assert data.train[0].class_map.max() == 1
    before = data.sha256()
    assert task_data(Recipe("custom"), folder).sha256() == before
    first = data.train.samples[0].image  # type: ignore[attr-defined]
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(first)
    assert task_data(Recipe("custom"), folder).sha256() != before
    assert len(task_data(Recipe("custom"), folder, images=2).train) <= 2


def test_whether_images_are_held_out_is_known_without_decoding_any(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(task="custom")
    several, one = task_data(recipe, folder), task_data(recipe, folder, 1)

    def never(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(tasks_data, "load_sample", never)
    assert several.holds_out
    assert not one.holds_out
