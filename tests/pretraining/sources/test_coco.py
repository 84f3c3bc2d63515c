"""COCO annotations against slow readings of the format."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from rle_oracle import slow_counts, slow_text

from prompttune.data.annotations.outlines import decode_counts
from prompttune.pretraining.sources.coco import decode_segment
from prompttune.pretraining.sources.pool import IGNORE, SetConfig, read_pool
from prompttune.utils.errors import InputError

HEIGHT, WIDTH = 40, 60


@pytest.mark.parametrize("seed", range(6))
def test_run_lengths_are_read_in_both_forms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.random((5, 7)), (300, 200)) > 0.3 + 0.1 * seed
    counts = slow_counts(mask)
    assert decode_counts(slow_text(counts)) == counts
    for form in (counts, slow_text(counts), slow_text(counts).encode()):
        segment = {"size": list(mask.shape), "counts": form}
        assert np.array_equal(decode_segment(segment, mask.shape), mask)


def test_text_as_the_format_has_it() -> None:
    """Worked out by hand: 6 is '6'; 40 is 8 + 32, so 'X' and '1'; then 1; then 4 - 40 = -36."""
    assert decode_counts("6X11lN") == [6, 40, 1, 4]


def test_polygons_cover_what_lies_inside() -> None:
    square = decode_segment([[10.0, 5.0, 20.0, 5.0, 20.0, 25.0, 10.0, 25.0]], (HEIGHT, WIDTH))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:25, 10:20] = True
    assert (square != expected).sum() <= 2 * 35  # a pixel of the border
    assert square[expected].all()


def annotations(tmp_path: Path, **changes) -> Path:
    """Two images; a large person, a small dog in front, a crowd; ids leave gaps, as COCO's do."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "set" / "images" / name), image)
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[:3] = True
    segments = []
    for image_id in (10, 20):
        segments += [
            {
                "category_id": 18,
                "segmentation": [[12, 12, 20, 12, 20, 20, 12, 20]],
                "image_id": image_id,
            },
            {
                "category_id": 1,
                "segmentation": [[5, 5, 40, 5, 40, 35, 5, 35]],
                "image_id": image_id,
            },
            {
                "category_id": 1,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": slow_counts(crowd)},
                "iscrowd": 1,
                "image_id": image_id,
            },
        ]
    content = {
        "images": [{"id": 10, "file_name": "1.jpg"}, {"id": 20, "file_name": "2.jpg"}],
        "annotations": segments,
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }
    (tmp_path / "set" / "all.json").write_text(json.dumps({**content, **changes}))
    return tmp_path


def test_objects_become_classes_and_instances(tmp_path: Path) -> None:
    pool = annotations(tmp_path)
    (images,) = read_pool(pool, [SetConfig("set", annotations="all.json")])
    first = images.images[0]
    assert first.instances is not None
    classes, instances = first.classes.class_map, first.instances.class_map
    assert classes[16, 16] == 2  # the dog, the second id, lies above the person
    assert classes[30, 30] == 1
    assert classes[38, 50] == instances[38, 50] == 0
    assert (classes[:3] == IGNORE).all()
    assert (instances[:3] == IGNORE).all()
    assert instances[16, 16] != instances[30, 30]
    assert images.contexts == ((1, (0, 1)), (2, (0, 1)))  # the third image has no annotations
    assert images.with_instances == (0, 1)


def test_panoptic_masks_number_the_things_alone(tmp_path: Path) -> None:
    ids = np.full((HEIGHT, WIDTH), 300_000)
    ids[5:15, 5:15], ids[20:30, 5:15], ids[:2] = 7, 70_001, 0
    pool = annotations(
        tmp_path,
        annotations=[
            {
                "image_id": 10,
                "file_name": "1.png",
                "segments_info": [
                    {"id": 7, "category_id": 1},
                    {"id": 70_001, "category_id": 1},
                    {"id": 300_000, "category_id": 18},
                ],
            }
        ],
        categories=[{"id": 18, "isthing": 0}, {"id": 1, "isthing": 1}],
    )
    config = SetConfig("set", annotations="all.json", masks="panoptic")
    with pytest.raises(InputError, match=r"1\.png: no such file"):
        read_pool(pool, [config])
    (pool / "set" / "panoptic").mkdir()
    rgb = np.stack((ids % 256, ids // 256 % 256, ids // 65536), -1).astype(np.uint8)
    cv2.imwrite(str(pool / "set" / "panoptic" / "1.png"), rgb[..., ::-1])
    (images,) = read_pool(pool, [config])
    first = images.images[0]
    assert first.instances is not None
    classes, instances = first.classes.class_map, first.instances.class_map
    assert (classes[10, 10], classes[25, 10], classes[35, 50], classes[0, 0]) == (1, 1, 2, 0)
    assert len({instances[10, 10], instances[25, 10], 0}) == 3
    assert instances[35, 50] == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"categories": None}, "no COCO annotations"),
        ({"categories": [{"id": i} for i in range(300)]}, "300 categories"),
        ({"categories": [{"id": 18}]}, "unusable annotation of 1.jpg"),
        (
            {
                "annotations": [
                    {
                        "image_id": 10,
                        "category_id": 1,
                        "segmentation": {"size": [HEIGHT, WIDTH], "counts": [3, 4]},
                    }
                ]
            },
            "run lengths",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path: Path, changes, complaint: str) -> None:
    pool = annotations(tmp_path, **changes)
    with pytest.raises(InputError, match=complaint):
        read_pool(pool, [SetConfig("set", annotations="all.json")])
