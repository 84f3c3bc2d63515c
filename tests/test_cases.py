"""Small inputs from people's own reports, beside the checkout, give the right values."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.cli import predict
from prompttune.tasks.data import TaskData, task_data
from prompttune.tasks.recipe import Recipe

CASES = Path(__file__).parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no folder of cases beside the checkout")


def data(case: str, *classes: str) -> TaskData:
    return task_data(Recipe("custom", classes=classes or ("crack",)), CASES / case)


def pixels(found: TaskData) -> list[int]:
    samples = {each.name: each for part in (found.train, found.val, found.test) for each in part}
    return [int((samples[name].class_map == 1).sum()) for name in sorted(samples)]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("01-instance-labels", [7350] * 6),
        ("02-boolean-tiff-masks", [1084, 984, 1104, 1220, 1272, 1388]),
        ("03-palette-white-first", [1576, 1063, 1144, 998, 964, 1065]),
        ("04-alpha-masks", [1096, 1144, 1224, 1025, 1388, 1072]),
        ("13-background-as-class", [1032, 1328, 1135, 1278, 1119, 1160]),
    ],
)
def test_masks(case: str, expected: list[int]) -> None:
    assert pixels(data(case, "background", "crack")) == expected


def test_annotations() -> None:
    assert pixels(data("06-cvat-brush-masks"))[1::2] == [1104, 1392, 963]
    assert pixels(data("15-box-only-annotation"))[2] == 980
    assert len(pixels(data("17-cvat-coco-zip"))) == 6
    assert pixels(data("18-rectangle-of-four-points", "c"))[0] > 400
    assert len(data("16-roboflow-parts").val) == 3
    assert len(pixels(data("19-mask-name-suffixes/isic"))) == 6
    assert len(pixels(data("19-mask-name-suffixes/one_folder"))) == 6


def test_few_positives() -> None:
    found = data("14-few-positives", "defect")
    parts = found.train, found.val, found.test
    assert [sum((each.class_map == 1).any() for each in part) for part in parts] == [1, 1, 1]


def predicted(case: str, output: Path, *words: str, example: str = "example") -> None:
    folder = CASES / case
    mask = f"{example}_mask.png" if example == "example" else "mask_0_1_2.png"
    ending = next(folder.glob(f"{example}.*")).name
    line = ["--example", str(folder / ending), str(folder / mask), "--output", str(output)]
    paths = [str(folder / word) if (folder / word).exists() else word for word in words]
    assert predict.main([*paths, *line]) == 0


def shown(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image) > 0


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_grays_are_classes(tmp_path: Path) -> None:
    folder = CASES / "05-grey-coded-classes"
    answers = []
    for codes in ("0_1_2", "0_127_255", "0_128_255", "0_85_170"):
        example = ["--example", str(folder / "image.jpg"), str(folder / f"mask_{codes}.png")]
        line = [str(folder / "query.jpg"), *example, "--output", str(tmp_path / codes)]
        assert predict.main(line) == 0
        with Image.open(tmp_path / codes / "query.png") as image:
            answers.append(np.asarray(image))
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_deep_and_many_banded_images(tmp_path: Path) -> None:
    predicted("07-dim-16-bit", tmp_path, "query.tif", "query_12bit.png")
    truth = shown(CASES / "07-dim-16-bit" / "query_truth.png")
    assert min(iou(shown(tmp_path / f"query{end}.png"), truth) for end in ("", "_12bit")) > 0.85
    names = [each.name for each in (CASES / "09-multiband-tiff").glob("*.tif")]
    predicted("09-multiband-tiff", tmp_path, *names)
    truth = shown(CASES / "09-multiband-tiff" / "truth.png")
    for name in names:
        assert iou(shown(tmp_path / f"{Path(name).stem}.png"), truth) > 0.9


def test_stacks_folders_and_hidden_files(tmp_path: Path) -> None:
    predicted("08-tiff-stack", tmp_path, "zstack.tif")
    assert all(page.any() for page in tifffile.imread(tmp_path / "zstack.tif"))
    predicted("11-nested-folders", tmp_path / "11", "series")
    assert len(list((tmp_path / "11").rglob("*_overlay.png"))) == 7
    predicted("20-appledouble", tmp_path / "20", "frames")
    predicted("20-appledouble", tmp_path / "video", "--video", "frames")


def test_frames_in_their_order(tmp_path: Path) -> None:
    folder = CASES / "10-frame-order"
    example = ["--example", str(folder / "frames/frame_1.jpg"), str(folder / "truth/frame_1.png")]
    line = ["--video", str(folder / "frames"), *example, "--output", str(tmp_path)]
    assert predict.main(line) == 0
    each = [iou(shown(tmp_path / t.name), shown(t)) for t in (folder / "truth").glob("*.png")]
    assert np.mean(each) > 0.75


def test_own_numbers(tmp_path: Path) -> None:
    folder = CASES / "12-coco-ids"
    recipe = data("12-coco-ids").recipe
    assert recipe is not None
    assert recipe.category_ids == {"crack": 7}
    for name in ("image", "mask"):
        Image.new("L", (128, 96), 0).save(tmp_path / f"{name}.png")
    mask = np.zeros((96, 128), np.uint8)
    mask[:48] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    example = ["--example", str(folder / "images/IMG_0000.jpg"), str(tmp_path / "mask.png")]
    more = ["--classes", "crack", "--instances", "--coco", str(folder / "annotations.json")]
    line = [str(folder / "images/IMG_0003.jpg"), *example, *more, "--output", str(tmp_path / "out")]
    assert predict.main(line) == 0
    content = json.loads((tmp_path / "out" / "IMG_0003_instances.json").read_text())
    assert {(each["image_id"], each["category_id"]) for each in content} == {(504, 7)}


def test_a_place_on_earth(tmp_path: Path) -> None:
    predicted("21-georeference", tmp_path, "orthophoto.tif")
    with tifffile.TiffFile(tmp_path / "orthophoto.tif") as file:
        tags = file.pages.first.tags
        assert tags[33550].value[:2] == (0.5, 0.5)
        assert tags[33922].value == (0.0, 0.0, 0.0, 400000.0, 5800000.0, 0.0)
        assert 32633 in tags[34735].value
