"""A COCO file's parts, and what is none."""

import json

import pytest

from prompttune.data.annotations.coco_file import Category, CocoFile, ImageEntry
from prompttune.utils.errors import InputError

CONTENT = {
    "categories": [{"id": 3, "name": "crack"}, {"id": 7, "isthing": 0}],
    "images": [
        {"id": 1, "file_name": "a.png", "width": 4, "height": 3},
        {"id": 2, "file_name": "b"},
    ],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3}],
}  # fmt: skip


def test_its_parts_are_named() -> None:
    file = CocoFile.parse(json.dumps(CONTENT).encode(), "a.json")
    assert file.categories == (Category(3, "crack", True), Category(7, "7", False))
    assert file.images == (ImageEntry(1, "a.png", (4, 3)), ImageEntry(2, "b", None))
    assert file.annotations == (CONTENT["annotations"][0],)


def test_files_of_images_alone_are_taken_where_they_do() -> None:
    alone = {name: CONTENT[name] for name in ("categories", "images")}
    assert CocoFile.of(alone, "a.json", annotated=False).annotations == ()
    with pytest.raises(InputError, match="annotations"):
        CocoFile.of(alone, "a.json")


def changed(**changes: object) -> bytes:
    return json.dumps(CONTENT | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"[]", b"3", b'{"images": 3}', b"[" * 100_000, b"\xff",
        changed(annotations=[3]),
        changed(images=[{"file_name": "a"}]),
        changed(images=[{"id": 1, "file_name": "a", "width": "w", "height": 1}]),
    ],
)  # fmt: skip
def test_other_content_is_one_line(content: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.json: no COCO annotations"):
        CocoFile.parse(content, "a.json")
