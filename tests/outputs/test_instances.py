"""Objects found in answers, and COCO's run-length code."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from prompttune.data.layouts import find_split, load_sample
from prompttune.inference.sliding_window import Result
from prompttune.outputs.instances import (
    Instance,
    coco_image_id,
    coco_results,
    compress,
    find_instances,
    run_lengths,
    write_json,
)


def noise(height: int, width: int, seed: int, classes: int = 2) -> Result:
    """Return an answer of random blobs."""
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.random((height, width)), 1.5)
    class_map = np.digitize(smooth, np.quantile(smooth, np.linspace(0.5, 1, classes + 1)[:-1]))
    scores = generator.random((classes, height, width), np.float32) / classes
    return Result(class_map.astype(np.uint8), scores)


def whole(instance: Instance) -> np.ndarray:
    """Put the mask back into the image."""
    mask = np.zeros(instance.size, bool)
    left, top, width, height = instance.box
    mask[top : top + height, left : left + width] = instance.mask
    return mask


def decompress(text: str) -> list[int]:
    """Read COCO's run-length text, as cocoapi's `rleFrString` does."""
    counts: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            place, shift = place + 1, shift + 5
            if not more and bits & 16:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def unrolled(counts: list[int], height: int, width: int) -> np.ndarray:
    """Paint runs column by column."""
    values = np.repeat(np.arange(len(counts)) % 2, counts).astype(bool)
    return values.reshape(width, height).T


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least_area", [1, 12])
def test_instances_are_the_components_of_each_class(seed: int, least_area: int) -> None:
    result = noise(40, 33, seed)
    found = find_instances(result, least_area)
    expected = []
    for index in (1, 2):
        labels, count = ndimage.label(result.classes == index, np.ones((3, 3)))
        masks = [labels == label for label in range(1, count + 1)]
        expected += [(index, mask) for mask in masks if mask.sum() >= least_area]
    assert len(found) == len(expected) > 2
    for instance in found:
        mask = whole(instance)
        matches = [index for index, other in expected if np.array_equal(mask, other)]
        assert matches == [instance.category]
        inside = result.scores[instance.category - 1][mask]
        assert instance.score == pytest.approx(inside.mean(), abs=1e-6)
        assert instance.mask[:, [0, -1]].any(0).all(), "the box is tight"
        assert instance.mask[[0, -1]].any(1).all(), "the box is tight"


def test_colors_of_one_class_become_objects_of_one_category() -> None:
    class_map = np.zeros((10, 12), np.uint8)
    class_map[2:6, 2:6], class_map[2:6, 6:10] = 1, 3  # two objects that touch
    scores = np.zeros((3, 10, 12), np.float32)
    scores[0, 2:6, 2:6], scores[1, 2:6, 2:6], scores[2, 2:6, 6:10] = 0.5, 0.25, 0.9
    found = find_instances(Result(class_map, scores), one_class=True)
    assert [each.category for each in found] == [1, 1]
    assert [each.box for each in found] == [(2, 2, 4, 4), (6, 2, 4, 4)]
    assert [each.score for each in found] == pytest.approx([0.75, 0.9])


def test_nothing_found_is_an_empty_list() -> None:
    empty = Result(np.zeros((5, 5), np.uint8), np.zeros((1, 5, 5), np.float32))
    assert coco_results(find_instances(empty), 1) == []


@pytest.mark.parametrize("seed", range(5))
def test_results_decode_to_the_masks(seed: int) -> None:
    result = noise(37, 29, seed)
    found = find_instances(result, 1)
    for instance, entry in zip(found, coco_results(found, "eye"), strict=True):
        counts = decompress(entry["segmentation"]["counts"])
        assert counts == run_lengths(instance)
        assert all(count > 0 for count in counts[1:])
        assert entry["segmentation"]["size"] == [37, 29]
        assert np.array_equal(unrolled(counts, 37, 29), whole(instance))
        assert entry["image_id"] == "eye"
        assert entry["bbox"] == list(instance.box)


def test_results_come_back_as_annotations(tmp_path: Path) -> None:
    result = noise(37, 29, 3)
    entries = coco_results(find_instances(result, 1), 501)
    content = {
        "images": [{"id": 501, "file_name": "a.png", "width": 29, "height": 37}],
        "annotations": [{"id": number, **each} for number, each in enumerate(entries, 1)],
        "categories": [{"id": 1, "name": "crack"}, {"id": 2, "name": "pothole"}],
    }
    (tmp_path / "images").mkdir()
    Image.new("RGB", (29, 37)).save(tmp_path / "images" / "a.png")
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (sample,) = find_split(tmp_path, classes=("crack", "pothole")).train
    assert set(np.unique(result.classes)) == {0, 1, 2}
    np.testing.assert_array_equal(load_sample(sample, 2).class_map, result.classes)


def test_full_columns_are_one_run() -> None:
    result = Result(np.ones((4, 6), np.uint8), np.ones((1, 4, 6), np.float32))
    (instance,) = find_instances(result, 1)
    assert run_lengths(instance) == [0, 24]


def test_run_lengths_by_hand() -> None:
    mask = np.array([[1, 0, 1], [1, 1, 0]], bool)
    instance = Instance(1, 1.0, (1, 1, 3, 2), mask, (4, 5))
    # Columns of 4: ....|.11.|..1.|.1..|....
    assert run_lengths(instance) == [5, 2, 3, 1, 2, 1, 6]


KNOWN = [  # what pycocotools makes of the counts
    ([5, 2, 3, 1, 2, 1, 6], "523OO04"),
    ([0, 24], "0h0"),
    ([1000, 31, 5, 32, 900, 1, 4096, 3, 3932], "Xo0o051ok0QOlS32lJ"),
    ([12], "<"),
]


@pytest.mark.parametrize(("counts", "text"), KNOWN)
def test_the_text_is_that_of_cocoapi(counts: list[int], text: str) -> None:
    assert compress(counts) == text
    assert decompress(text) == counts


def test_ids_are_the_numbers_of_coco_files(tmp_path: Path) -> None:
    assert coco_image_id(Path("x/000000397133.jpg")) == 397133
    assert coco_image_id(Path("eye_3.png")) == "eye_3"
    write_json(tmp_path / "a.json", [1, {"a": "b"}])
    assert json.loads((tmp_path / "a.json").read_text()) == [1, {"a": "b"}]
