"""labelme's files with the image in them, damaged ones, and images that are gone."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.annotations.embedded import unpacked
from prompttune.data.layouts import find_split, load_sample
from prompttune.utils.errors import InputError


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
