"""A result can be saved, looked at and exported; what a thing is, its repr says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import prompttune
from prompttune import Composition, InputError, Palette, Prompt, Result, Segmenter
from prompttune.outputs.instances import coco_results, find_instances

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
CLASSES = np.zeros((40, 50), np.uint8)
CLASSES[5:15, 5:15] = 1
CLASSES[20:25, 30:45] = 2
SCORES = np.stack([CLASSES == 1, CLASSES == 2]).astype(np.float32)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(device="cpu")


def prompt(*classes: str) -> Prompt:
    pairs = [(IMAGE, CLASSES.clip(max=len(classes)))]
    return Prompt.from_examples(pairs, classes, scale="whole")


@pytest.fixture
def result() -> Result:
    return Result(CLASSES, SCORES, IMAGE, prompt("cat", "dog"))


def test_a_saved_result_keeps_indices_and_colors(result: Result, tmp_path: Path) -> None:
    path = result.save(tmp_path / "new" / "mask.png")
    with Image.open(path) as saved:
        assert saved.mode == "P"
        assert np.array_equal(np.asarray(saved), CLASSES)
        assert saved.getpalette()[3:6] == list(result.palette.colors[0])  # type: ignore[index]
    with pytest.raises(InputError, match=r"end in \.png"):
        result.save(tmp_path / "mask.jpg")


def test_an_overlay_is_a_picture_of_the_same_size(result: Result) -> None:
    shown = np.asarray(result.overlay())
    assert shown.shape == IMAGE.shape
    assert np.array_equal(shown[CLASSES == 0], IMAGE[CLASSES == 0])
    assert not np.array_equal(shown[CLASSES == 1], IMAGE[CLASSES == 1])


def test_coco_results_are_those_of_the_command(result: Result) -> None:
    assert result.to_coco(7) == coco_results(find_instances(result), 7)
    assert [each["category_id"] for each in result.to_coco()] == [1, 2]
    assert [each["category_id"] for each in result.to_coco(min_area=80)] == [1]


def test_instances_of_one_class_share_its_category() -> None:
    several = Prompt.from_instances([(IMAGE, CLASSES)], "cell")
    exported = Result(CLASSES, SCORES, IMAGE, several).to_coco()
    assert [each["category_id"] for each in exported] == [1, 1]


def test_a_result_by_hand_says_what_it_lacks(tmp_path: Path) -> None:
    bare = Result(CLASSES, SCORES)
    for use in (bare.overlay, lambda: bare.save(tmp_path / "mask.png")):
        with pytest.raises(InputError, match="made by hand"):
            use()


def test_a_segmenters_results_know_image_and_prompt(segmenter: Segmenter, tmp_path: Path) -> None:
    one = prompt("thing")
    found = segmenter.predict(torch.from_numpy(IMAGE).movedim(-1, 0), one)
    assert found.prompt is one
    assert np.array_equal(found.overlay().size, (50, 40))
    assert found.save(tmp_path / "mask.png").is_file()
    both = segmenter.predict([IMAGE], Composition([prompt("cat"), prompt("dog")]))
    assert both[0].palette.classes == ("cat", "dog")


def test_a_segmenter_moves_and_answers_the_same(segmenter: Segmenter) -> None:
    one = prompt("thing")
    before = segmenter.predict(IMAGE, one).scores
    assert segmenter.to("cpu") is segmenter
    assert np.array_equal(segmenter.predict(IMAGE, one).scores, before)
    assert segmenter.to(torch.device("cpu")).device.type == "cpu"
    with pytest.raises(InputError, match="device 'gpu': choose auto, cpu or cuda"):
        segmenter.to("gpu")
    with pytest.raises(InputError, match="there is no CUDA device"):
        segmenter.to("cuda:99")


def test_what_a_thing_is_stands_in_its_repr(segmenter: Segmenter, result: Result) -> None:
    assert repr(Palette.of(["cat", "dog"])) == "Palette(cat #ffffff, dog #0077ff)"
    assert repr(prompt("cat")) == (
        "Prompt('examples'; 1 example of 40 x 50; classes cat; whole images)"
    )
    key = repr(prompttune.load_prompt("retina"))
    start = "Prompt('retina'; 1 learned image of 128 x 128; classes vessel; scale 1.0"
    assert key.startswith(start)
    assert repr(result) == "Result(40 x 50; cat 5.0%, dog 3.8%)"
    assert repr(segmenter) == f"Segmenter('{segmenter.network.name}'; canvas 128; cpu, fp32)"
    assert repr(Composition([prompt("cat")])) == f"Composition({prompt('cat')!r})"
