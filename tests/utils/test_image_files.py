"""Which files are found, in which order, and where their results go."""

import random
from pathlib import Path

import pytest

from prompttune.outputs.paths import find_images, name_outputs
from prompttune.utils.image_files import images_below, natural_key


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    names = [f"frame_{number}.jpg" for number in range(1, 14)]
    shuffled = random.Random(0).sample(names, len(names))
    assert [path.name for path in find_images([touch(tmp_path, *shuffled)])] == names
    mixed = ["a1b2", "a1b10", "a2b1", "a10", "b"]
    assert sorted(["b", "a10", "a2b1", "a1b10", "a1b2"], key=natural_key) == mixed
    assert sorted(["1", "a", "01"], key=natural_key)  # numbers and words can be compared


@pytest.mark.parametrize("name", ["photo.jfif", "photo.jpe", "tile.jp2", "a.avif", "A.TIFF"])
def test_endings_that_the_reader_knows(tmp_path: Path, name: str) -> None:
    assert [path.name for path in find_images([touch(tmp_path, name)])] == [name]


def test_folders_in_folders_and_files_of_the_system(tmp_path: Path) -> None:
    good = ["a.jpg", "x/b.jpg", "x/y/b.jpg"]
    junk = ["._a.jpg", "x/._b.jpg", "__MACOSX/a.jpg", ".hidden/a.jpg", ".DS_Store", "notes.txt"]
    touch(tmp_path, *good, *junk)
    assert [str(path.relative_to(tmp_path)) for path in find_images([tmp_path])] == good


def test_masks_beside_images_and_earlier_results_are_not_segmented(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/a.png", "fov/a.png", "out/images/a.png")
    passed: list[Path] = []
    found = find_images([tmp_path], without=tmp_path / "out", passed=passed)
    assert [path.name for path in passed] == ["fov", "masks", "out"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["images/a.jpg"]
    touch(tmp_path / "other", "masks/a.png")  # no images/ beside it: it is what was asked for
    assert len(list(images_below(tmp_path / "other"))) == 1


def test_results_lie_in_folders_of_the_same_names(tmp_path: Path) -> None:
    folder = touch(tmp_path / "series", "a.jpg", "p/a.jpg", "q/a.tif")
    named = name_outputs(find_images([folder]), Path("out"), roots=[folder])
    assert [path.as_posix() for path in named.values()] == [
        "out/a.png",
        "out/p/a.png",
        "out/q/a.png",
    ]


def test_folders_that_are_passed_over_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "masks/a.png", "more/b.jpg")
    passed: list[Path] = []
    found = find_images([tmp_path], passed=passed)
    assert [path.name for path in found] == ["a.jpg", "b.jpg"]
    assert passed == [tmp_path / "masks"]
