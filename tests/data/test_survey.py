"""What a run says of a folder, and what it warns of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.class_names import class_names
from prompttune.data.survey import Survey, leftovers
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError


def data(folder: Path, mask: np.ndarray, count: int = 6) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        height, width = mask.shape
        Image.new("RGB", (width, height)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


def surveyed(folder: Path, *classes: str, **options: object) -> Survey:
    found = task_data(Recipe("custom", classes=classes or ("crack",), **options), folder).survey
    assert found is not None
    return found


MASK = np.zeros((20, 30), np.uint8)
MASK[:5, :12] = 1


@pytest.mark.parametrize("white", [1, 255])
def test_one_line_says_what_was_understood(tmp_path: Path, white: int) -> None:
    found = surveyed(data(tmp_path, MASK * np.uint8(white)))
    assert found.line == (f"6 masks: gray, {white} = crack, 10 % of pixels; 30 x 20; 8-bit RGB")
    assert found.classes == {"crack": (6, 0.1)}
    assert not found.warnings
    assert found.image_size == (30, 20)


def test_a_class_that_no_mask_shows(tmp_path: Path) -> None:
    found = surveyed(data(tmp_path, MASK), "crack", "pothole")
    assert "no training or validation image shows the class 'pothole'" in found.warnings[0]
    assert "(crack 10 %, pothole 0 % of pixels)" in found.line


def test_a_mask_that_covers_every_picture(tmp_path: Path) -> None:
    full = np.full((20, 30), 255, np.uint8)
    full[0, :20] = 0
    found = surveyed(data(tmp_path, full))
    assert "covers over 90 % of every picture: are the masks inverted" in found.warnings[0]
    turned = surveyed(tmp_path, mask_values={0: 1, 255: 0})
    assert not turned.warnings
    assert "0 = crack, 255 = background" in turned.line


def test_masks_that_are_mostly_ignored(tmp_path: Path) -> None:
    mask = np.where(MASK == 1, 1, 255).astype(np.uint8)
    mask[0, 0] = 0
    found = surveyed(data(tmp_path, mask), "a", "b")
    assert any("90 % of the masks' pixels are 255" in line for line in found.warnings)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["background", "crack"], ("crack",)),
        (["Background ", " crack", "pothole "], ("crack", "pothole")),
        (["crack", " pothole"], ("crack", "pothole")),
    ],
)
def test_names_of_classes(names: list[str], expected: tuple[str, ...]) -> None:
    assert class_names(names) == expected
    assert Recipe("custom", classes=tuple(names)).classes == expected


@pytest.mark.parametrize("names", [["crack", "background"], ["crack", " "], ["background"]])
def test_names_that_are_no_classes(names: list[str]) -> None:
    with pytest.raises(InputError, match="--classes"):
        class_names(names)


def test_what_was_found_is_kept_with_the_recipe(tmp_path: Path) -> None:
    recipe = task_data(Recipe("custom"), data(tmp_path, MASK)).recipe
    assert recipe is not None
    kept = recipe.to_dict()
    assert kept["image_size"] == [30, 20]
    assert not {"stretch", "bands", "colors", "category_ids", "mask_kind"} & kept.keys()
    assert Recipe(**kept) == recipe


def test_files_are_counted_by_why_they_were_passed_over(tmp_path: Path) -> None:
    for name in ("images/a.png", "images/b.png", "notes.txt", "more.txt", ".DS_Store", "x/._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert set(leftovers(tmp_path, [tmp_path / "images" / "a.png"])) == {
        "1 x images/ (images without a partner or beside it)",
        "2 x *.txt (no image)",
        "2 x hidden files of the system",
    }
