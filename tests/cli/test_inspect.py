"""The inspect command says what a folder holds before time is spent on it."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.cli import inspect
from prompttune.utils.errors import InputError


def data(folder: Path, *values: int) -> Path:
    """Write six images and masks; each value is a square."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(6):
        mask = np.zeros((20, 40), np.uint8)
        for place, value in enumerate(values):
            mask[4:14, 10 * place : 10 * place + 8] = value
        Image.new("RGB", (40, 20), (90, 90, 90)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert inspect.main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_masks_classes_values_and_what_was_left_out(tmp_path: Path, capsys) -> None:
    folder = data(tmp_path, 255)
    (folder / "images" / "._0.png").write_bytes(b"")
    (folder / "notes.txt").write_text("text")
    (folder / "extra").mkdir()
    Image.new("L", (4, 4)).save(folder / "extra" / "a.png")
    text = said(capsys, folder, "--classes", "crack")
    assert "6 masks: gray, 255 = crack, 10 % of pixels; 40 x 20; 8-bit RGB" in text
    assert "Parts:  4 training, 1 validation, 1 test" in text
    assert "Class:  crack in 6 images, 10 % of all pixels" in text
    assert "Values: 0: 4,320, 255: 480 (pixels)" in text
    for line in ("1 x hidden files", "1 x *.txt", "1 x extra/ (images without a partner"):
        assert f"Unused: {line}" in text


@pytest.mark.parametrize("values", [(1, 2), (85, 170)])
def test_classes_are_guessed(tmp_path: Path, capsys, values: tuple[int, ...]) -> None:
    text = said(capsys, data(tmp_path, *values))
    assert f"{values[0]} = 1, {values[1]} = 2" in text
    assert "Class:  2 in 6 images" in text


def test_pixels_of_annotations_are_counted(tmp_path: Path, capsys) -> None:
    (tmp_path / "images").mkdir()
    square = [[10, 10, 30, 10, 30, 30, 10, 30]]
    things = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "segmentation": square, "iscrowd": 0}
        for n in range(4)
    ]
    images = [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 50} for n in range(4)]
    for n in range(4):
        Image.new("RGB", (80, 50), (n, 9, 9)).save(tmp_path / "images" / f"{n}.png")
    names = [{"id": 1, "name": "crack"}, {"id": 2, "name": "hole"}]
    content = {"images": images, "annotations": things, "categories": names}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    text = said(capsys, tmp_path)
    for name in ("crack", "hole"):  # 400 of 4000 pixels in every second image
        assert f"Class:  {name} in 2 images, 5 % of all pixels" in text


def test_what_looks_wrong(tmp_path: Path, capsys) -> None:
    text = said(capsys, data(tmp_path, 1), "--classes", "crack,pothole")
    assert "Warning: no training or validation image shows the class 'pothole'" in text


def test_what_is_ambiguous_names_the_option(tmp_path: Path) -> None:
    folder = data(tmp_path, 127, 255)
    with pytest.raises(InputError, match="--classes, or give --mask_kind gray"):
        inspect.main([str(folder), "--classes", "crack"])


def test_a_contact_sheet(tmp_path: Path, capsys) -> None:
    folder = data(tmp_path / "data", 1, 2)
    said(capsys, folder, "--output", tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        colors = {color for _, color in sheet.getcolors(1_000_000) or ()}
    assert (90, 90, 90) in colors
    assert len(colors) > 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.json", "0.txt", "a.csv", "a.parquet"])
def test_pipes_are_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = data(tmp_path, 255)
    for place in (folder, folder / "images"):
        os.mkfifo(place / name)
        with suppress(InputError):
            assert inspect.main([str(place)]) == 0


def test_images_alone(tmp_path: Path, capsys) -> None:
    for number in range(3):
        Image.new("L", (8, 9)).save(tmp_path / f"{number}.png")
    assert "3 images; 8 x 9; 8-bit gray; no masks beside them" in said(capsys, tmp_path)
    assert "1 image; 8 x 9" in said(capsys, tmp_path / "0.png")


def test_folders_of_images_alone_are_told_apart(tmp_path: Path, capsys) -> None:
    for folder, names in {"images": "ab", "output": ("a", "b", "a_overlay", "b_overlay")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            Image.new("L", (8, 9)).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "a_seg.npy").touch()
    text = said(capsys, tmp_path)
    assert "images/: 2 images; 8 x 9; 8-bit gray" in text
    assert "output/: 4 images; 8 x 9; 8-bit gray; 2 have an overlay beside them" in text
    assert "2 names are in images/ and output/; if these are masks, give --images_dir" in text
    assert "Note:   Cellpose's files such as a_seg.npy are not read" in text


def test_annotations_name_the_classes(tmp_path: Path, capsys) -> None:
    import json

    square = [[2, 2], [9, 2], [9, 9], [2, 9]]
    for number, label in enumerate(("crack", "pothole", "crack", "pothole")):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{number}.png")
        shape = {"label": label, "shape_type": "polygon", "points": square}
        content = {"shapes": [shape], "imagePath": f"{number}.png"}
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    text = said(capsys, tmp_path)
    assert "4 annotated images: crack in 2, pothole in 2" in text


@pytest.mark.parametrize(("words", "line"), [(("nowhere",), "no such file"), ((), "DIR")])
def test_bad_lines(words: tuple[str, ...], line: str) -> None:
    with pytest.raises(InputError, match=line):
        inspect.main(list(words))
