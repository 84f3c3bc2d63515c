"""labelme's files; bad ones are refused in one line."""

import base64
import io
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import (
    HEIGHT,
    IN_BOX,
    IN_NEAR,
    WIDTH,
    only,
    refused,
    save_image,
)
from PIL import Image

from prompttune.data.annotations.labelme import unpacked
from prompttune.data.layouts import find_split, load_sample
from prompttune.utils.errors import InputError


def labelme(name: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "shapes": [{"shape_type": "polygon", "group_id": None, **shape} for shape in shapes],
        "imagePath": name,
        "imageData": "QUJD",
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def shape(label: str, kind: str, *points: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points, **more}


def test_labelme_beside_the_images(tmp_path: Path) -> None:
    bits = BytesIO()
    Image.fromarray(np.eye(3, dtype=bool)).save(bits, "PNG")
    mask = shape(
        "crack", "mask", (15, 16), (17, 18), mask=base64.b64encode(bits.getvalue()).decode()
    )
    content = labelme(
        "road.png",
        shape("crack", "rectangle", (12, 13), (2, 3)),
        shape("pothole", "polygon", (4, 5), (8, 5), (8, 9), (4, 9)),
        shape("pothole", "circle", (22, 10), (22, 14)),
        shape("tree", "point", (1, 1)),
        mask,
    )
    save_image(tmp_path / "road.png")
    (tmp_path / "road.json").write_text(json.dumps(content))
    loaded = only(tmp_path, "crack", "pothole")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    expected = IN_BOX.astype(np.uint8)
    expected[IN_NEAR | (np.hypot(columns - 22, rows - 10) < 4)] = 2
    expected[[16, 17, 18], [15, 16, 17]] = 1
    assert np.array_equal(loaded.class_map, expected)


@pytest.mark.parametrize("beside", [".", "images"])
def test_labelme_with_a_folder_of_images(tmp_path: Path, beside: str) -> None:
    thing = shape("crack", "polygon", (2, 3), (12, 3), (12, 13), (2, 13))
    for number in range(5):
        save_image(tmp_path / "images" / f"{number}.jpg")
        if number:  # one has no annotations yet; the files' image was renamed since
            file = tmp_path / beside / f"{number}.json"
            file.write_text(json.dumps(labelme(f"old-{number}.jpg", thing)))
    split = find_split(tmp_path)
    assert split.layout == "labelme annotations, 1 images without, split by seed"
    samples = [*split.train, *split.val, *split.test]
    assert sorted(sample.name for sample in samples) == ["1", "2", "3", "4"]
    assert all((load_sample(one, 1).class_map == IN_BOX).all() for one in samples)


@pytest.mark.parametrize(
    ("thing", "complaint"),
    [
        (shape("crack", "linestrip", (1, 2), (3, 4)), "covers no pixels"),
        (shape("crack", "rectangle", (1, 2), (3, 4), (5, 6)), "of 3 points, which needs 2 or 4"),
        (shape("crack", "rotation", (1, 2), (3, 4)), "of 2 points, which needs 4"),
        (shape("crack", "spline", (1, 2), (3, 4)), "unknown type 'spline'"),
        (shape("crack", "rectangle", (1, 2)), "shape 1: "),
        (shape("crack", "mask", (1, 2), (3, 4), mask="AAAA"), "mask that is no image"),
    ],
)
def test_bad_labelme_shapes(tmp_path: Path, thing: dict[str, Any], complaint: str) -> None:
    save_image(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(labelme("a.png", thing)))
    line = refused(tmp_path)
    assert complaint in line
    assert str(tmp_path / "a.json") in line


def test_bad_labelme_files(tmp_path: Path) -> None:
    thing = shape("crack", "rectangle", (1, 2), (3, 4))
    (tmp_path / "a.json").write_text(json.dumps(labelme("b.png", thing)))
    assert "its image 'b.png' is not there" in refused(tmp_path)
    save_image(tmp_path / "a.png", (WIDTH, HEIGHT + 1))
    assert "30 x 21" in refused(tmp_path)
    (tmp_path / "b.json").write_text("[]")
    assert f"{tmp_path / 'b.json'}: no labelme annotations" in refused(tmp_path)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder: Path, number: int, embed: bool) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    shape = {"label": "a", "points": [[4, 4], [12, 4], [12, 12], [4, 12]], "shape_type": "polygon"}
    data = base64.b64encode(content.getvalue()).decode() if embed else None
    whole = {"shapes": [shape], "imagePath": f"{number}.png", "imageData": data}
    (folder / f"{number}.json").write_text(json.dumps(whole))
    if not embed:
        (folder / f"{number}.png").write_bytes(content.getvalue())
    return pixels


def test_an_embedded_image_is_read(tmp_path: Path) -> None:
    written = [write(tmp_path / "set", number, embed=True) for number in range(4)]
    for _ in range(2):  # the second time from the cache
        split = find_split(tmp_path / "set", classes=("a",))
        found = {each.name: each for each in (*split.train, *split.val, *split.test)}
        assert sorted(found) == ["0", "1", "2", "3"]
        for number, pixels in enumerate(written):
            loaded = load_sample(found[str(number)], 1)
            assert np.array_equal(loaded.image, pixels)
            assert loaded.class_map.sum() > 0


@pytest.mark.parametrize("data", ["no base 64!", base64.b64encode(b"text").decode()])
def test_what_is_no_image_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="the one in it is"):
        unpacked(data)


def test_a_damaged_file_is_left_out_and_named(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "set", number, embed=False)
    (tmp_path / "set" / "0.json").write_text('{"shapes": [')
    split = find_split(tmp_path / "set", classes=("a",))
    assert {each.name for each in (*split.train, *split.val, *split.test)} == {"1", "2", "3"}
    assert any("left out" in note and "0.json" in note for note in split.notes)
    for number in (1, 2):
        (tmp_path / "set" / f"{number}.json").write_text("")
    with pytest.raises(InputError, match=r"0\.json: is no JSON"):
        find_split(tmp_path / "set", classes=("a",))


def test_images_that_coco_names_and_that_are_gone_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (30, 20)).save(tmp_path / "images" / f"{number}.png")
    images = [{"id": n, "file_name": f"{n}.png", "width": 30, "height": 20} for n in range(4)]
    square = [[4, 4, 12, 4, 12, 12, 4, 12]]
    things = [
        {"id": n, "image_id": n, "category_id": 7, "segmentation": square, "bbox": [4, 4, 8, 8]}
        for n in range(4)
    ]
    whole = {"images": images, "annotations": things, "categories": [{"id": 7, "name": "a"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(whole))
    split = find_split(tmp_path, classes=("a",))
    assert {each.name for each in (*split.train, *split.val, *split.test)} == {"0", "1", "2"}
    assert any("not there: 1" in note for note in split.notes)
    (tmp_path / "images" / "0.png").unlink()
    with pytest.raises(InputError, match=r"names the image '0\.png', which is not there"):
        find_split(tmp_path, classes=("a",))
