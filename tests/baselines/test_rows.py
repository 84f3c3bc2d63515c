"""Rows that are trained or read: what they ask for, and what they refuse."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from prompttune.baselines.rows import Rivals, observed_scores, second_masks
from prompttune.cli.compare import OTHER_ROWS
from prompttune.data.layouts import Sample
from prompttune.tasks.data import SampleFolder, TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> SampleFolder:
    samples = []
    for number in range(2):
        for part in ("images", "masks", *(["masks_2nd"] if number == 0 else [])):
            path = tmp_path / part / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            mask = np.zeros((8, 8), np.uint8)
            mask[: 4 + number] = 255
            Image.fromarray(mask).save(path)
        paths = [tmp_path / part / f"{number}.png" for part in ("images", "masks")]
        samples.append(Sample(str(number), *paths))
    return SampleFolder(samples, Recipe("custom"), tmp_path)


def rivals(data: SampleFolder, tmp_path: Path) -> Rivals:
    found = TaskData(data, data, data, "set", "folders", generated=False)
    return Rivals(None, Recipe("custom"), found, None, 1.0, 2.0, tmp_path)  # type: ignore[arg-type]


def test_the_command_names_all_of_them(folder: SampleFolder, tmp_path: Path) -> None:
    assert set(rivals(folder, tmp_path).rows()) <= set(OTHER_ROWS)


def test_a_second_human_is_scored_where_there_are_masks(
    folder: SampleFolder, tmp_path: Path
) -> None:
    bench = SimpleNamespace(test=folder, classes=("foreground",))
    (candidate,) = rivals(folder, tmp_path).observer(bench)  # type: ignore[arg-type]
    image = np.zeros((8, 8, 3), np.uint8)
    scores = candidate.scores("0", image)
    assert scores is not None
    assert scores[0, :4].all()
    assert not scores[0, 4:].any()
    assert candidate.scores("1", image) is None


def test_without_such_masks_the_row_is_refused(folder: SampleFolder, tmp_path: Path) -> None:
    bench = SimpleNamespace(test=[*folder], classes=("foreground",))
    with pytest.raises(InputError, match="no masks_2nd/"):
        rivals(folder, tmp_path).observer(bench)  # type: ignore[arg-type]


def test_second_masks_are_found_by_stem(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert second_masks(tmp_path / "images") == {}
    (tmp_path / "masks_2nd").mkdir()
    mask = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    palette = Image.fromarray(mask)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "masks_2nd" / "05.png")
    (tmp_path / "masks_2nd" / "notes.txt").write_text("no mask")
    found = second_masks(tmp_path / "images")
    assert set(found) == {"05"}
    np.testing.assert_array_equal(observed_scores(found["05"], 1, (2, 3)), mask[None])
    with pytest.raises(InputError, match="3 x 2, its image 5 x 4"):
        observed_scores(found["05"], 1, (4, 5))
