"""Folders as people have them, read as a whole: what is found, and what is said of it."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.class_names import class_names
from prompttune.data.mask_facts import look_at
from prompttune.data.mask_survey import guess_classes
from prompttune.data.masks import MaskOptions, read_stored
from prompttune.tasks.data import TaskData, task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

HEIGHT, WIDTH, COUNT = 40, 60, 6


def things(number: int, classes: int = 1) -> np.ndarray:
    """Draw three squares of their own numbers, or of classes, `H x W uint8`."""
    numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
    for each in range(3):
        top, left = 3 + 12 * each, 4 + 3 * number + 10 * each
        numbers[top : top + 8, left : left + 7] = each % classes + 1
    return numbers


def photo(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return (90 + 80 * (things(number)[:, :, None] > 0) + rng.integers(0, 30, (1, 1, 3))).astype(
        np.uint8
    )


def fill(
    folder: Path,
    draw: Callable[[Path, int], None],
    show: Callable[[Path, int], None] | None = None,
    images: str = "images",
    masks: str = "masks",
) -> None:
    for name in (images, masks):
        (folder / name).mkdir(parents=True)
    for number in range(COUNT):
        if show is None:
            Image.fromarray(photo(number)).save(folder / images / f"{number}.png")
        else:
            show(folder / images, number)
        draw(folder / masks, number)


def read(folder: Path, classes: str = "a") -> TaskData:
    return task_data(Recipe("custom", classes=class_names(classes.split(","))), folder)


def maps(data: TaskData) -> dict[str, np.ndarray]:
    return {
        each.name: each.class_map for part in (data.train, data.val, data.test) for each in part
    }


def expect(data: TaskData, classes: int = 1) -> None:
    found = maps(data)
    assert len(found) == COUNT
    for name, class_map in found.items():
        np.testing.assert_array_equal(class_map, things(int(name), classes), name)


def test_numbers_of_things_that_differ_from_mask_to_mask(tmp_path: Path) -> None:
    def draw(folder: Path, number: int) -> None:  # as napari and trackers leave them
        numbers = np.array([0, 37 + 11 * number, 74 + 11 * number, 120 + 11 * number], np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", numbers[things(0, 3)])

    fill(tmp_path, draw)
    data = read(tmp_path)
    assert all((each == (things(0) > 0)).all() for each in maps(data).values())
    assert data.survey is not None
    assert "numbers of things" in data.survey.line


def test_values_of_areas_that_are_the_same_in_all_masks_are_asked_for(tmp_path: Path) -> None:
    codes = np.array([0, 100, 110, 180], np.uint8)
    fill(tmp_path, lambda d, n: Image.fromarray(codes[things(n, 3)]).save(d / f"{n}.png"))
    with pytest.raises(InputError, match=r"the values 100, 110, 180, .*instances"):
        read(tmp_path)


@pytest.mark.parametrize("seen", [[0, 0, 0, 255], [255, 0, 0, 128]])
def test_what_is_seen_on_transparent_white(tmp_path: Path, seen: list[int]) -> None:
    colors = np.array([[255, 255, 255, 0], seen], np.uint8)
    fill(tmp_path, lambda d, n: Image.fromarray(colors[things(n)]).save(d / f"{n}.png"))
    if not any(seen[:3]):
        with pytest.raises(InputError, match="which is the object"):
            read(tmp_path)
    expect(task_data(Recipe("custom", classes=("a",), mask_kind="alpha"), tmp_path))
    if any(seen[:3]):
        expect(read(tmp_path))


def test_colors_on_transparent_white(tmp_path: Path) -> None:
    colors = np.array([[255, 255, 255, 0], [255, 0, 0, 255], [0, 0, 255, 255]], np.uint8)
    fill(tmp_path, lambda d, n: Image.fromarray(colors[things(n, 2)]).save(d / f"{n}.png"))
    recipe = Recipe("custom", classes=("a", "b"), colors="a=#ff0000,b=#0000ff")
    expect(task_data(recipe, tmp_path), 2)


@pytest.mark.parametrize(("dtype", "unset"), [(np.int8, -1), (np.int32, -1), (np.uint16, 65535)])
def test_pixels_without_a_class_are_not_counted(tmp_path: Path, dtype: type, unset: int) -> None:
    def draw(folder: Path, number: int) -> None:
        values = things(number, 2).astype(dtype)
        values[:2] = unset
        tifffile.imwrite(folder / f"{number}.tif", values)

    fill(tmp_path, draw)
    data = read(tmp_path, "a,b")
    for name, class_map in maps(data).items():
        assert (class_map[:2] == 255).all()
        np.testing.assert_array_equal(class_map[2:], things(int(name), 2)[2:])
    assert data.survey is not None
    assert f"{unset} not counted" in data.survey.line


def test_the_void_of_a_palette_is_told(tmp_path: Path) -> None:
    def draw(folder: Path, number: int) -> None:
        values = things(number)
        values[:2] = 255
        image = Image.fromarray(values, "L").convert("P")
        image.putdata(values.ravel().tolist())
        image.putpalette([0, 0, 0, 128, 0, 0] + [0] * 756 + [224, 224, 192])
        image.save(folder / f"{number}.png")

    fill(tmp_path, draw)
    data = read(tmp_path)
    assert data.survey is not None
    assert "1 = a, 255 not counted" in data.survey.line
    assert all((each[:2] == 255).all() for each in maps(data).values())


def test_a_color_for_each_thing(tmp_path: Path) -> None:
    def draw(folder: Path, number: int) -> None:
        colors = np.random.default_rng(number).integers(40, 255, (4, 3)).astype(np.uint8)
        colors[0] = 0
        Image.fromarray(colors[things(number, 3)]).save(folder / f"{number}.png")

    fill(tmp_path, draw)
    with pytest.raises(InputError, match="--mask_kind instances where each thing"):
        read(tmp_path)
    expect(task_data(Recipe("custom", classes=("a",), mask_kind="instances"), tmp_path))


def test_black_on_white_ground_is_asked_about(tmp_path: Path) -> None:
    white = np.array([255, 0], np.uint8)
    fill(tmp_path, lambda d, n: Image.fromarray(white[things(n)]).save(d / f"{n}.png"))
    with pytest.raises(InputError, match=r"--mask_kind gray .*--mask_values '\{0: 1, 255: 0\}'"):
        read(tmp_path)
    given = Recipe("custom", classes=("a",), mask_values={0: 1, 255: 0})
    expect(task_data(given, tmp_path))
    data = task_data(Recipe("custom", classes=("a",), mask_kind="gray"), tmp_path)
    assert data.survey is not None
    assert any("--mask_values '{0: 1, 255: 0}'" in line for line in data.survey.warnings)


def test_labels_that_begin_at_one_are_doubted(tmp_path: Path) -> None:
    fill(tmp_path, lambda d, n: Image.fromarray(things(n) + 1).save(d / f"{n}.png"))
    data = read(tmp_path, "a,b")
    assert data.survey is not None
    assert any("no pixel is background" in line for line in data.survey.warnings)


def rotated(tag: int) -> Callable[[Path, int], None]:
    def show(folder: Path, number: int) -> None:
        exif = Image.Exif()
        exif[274] = tag
        Image.fromarray(photo(number)).save(folder / f"{number}.png", exif=exif)

    return show


def test_masks_drawn_before_exif_turned_their_images_are_turned_too(tmp_path: Path) -> None:
    fill(tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"), rotated(6))
    data = read(tmp_path)
    for name, class_map in maps(data).items():
        np.testing.assert_array_equal(class_map, np.rot90(things(int(name)), -1))
    assert data.survey is not None
    assert any("drawn before that, alike" in note for note in data.survey.notes)


def test_masks_of_turned_images_are_told_of(tmp_path: Path) -> None:
    fill(tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"), rotated(3))
    data = read(tmp_path)
    expect(data)
    assert data.survey is not None
    assert any("drawn on the upright images" in note for note in data.survey.notes)


def test_outlines_drawn_before_exif_turned_their_images(tmp_path: Path) -> None:
    show = rotated(6)
    for number in range(COUNT):
        show(tmp_path, number)
        shape = {"label": "a", "shape_type": "rectangle", "points": [[10, 5], [29, 19]]}
        content = {
            "shapes": [shape], "imagePath": f"{number}.png", "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }  # fmt: skip
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    for class_map in maps(read(tmp_path)).values():
        assert class_map.shape == (WIDTH, HEIGHT)
        upright = np.rot90(class_map)
        rows, columns = np.nonzero(upright)
        assert abs(rows.mean() - 12) < 1
        assert abs(columns.mean() - 19.5) < 1


def test_numbers_without_data_choose_no_stretch(tmp_path: Path) -> None:
    def show(folder: Path, number: int) -> None:
        pixels = photo(number).astype(np.int16)
        pixels[:, :20] = -9999
        tifffile.imwrite(
            folder / f"{number}.tif", pixels, photometric="rgb",
            extratags=[(42113, "s", 0, "-9999", True)],
        )  # fmt: skip

    fill(tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"), show)
    data = read(tmp_path)
    assert data.survey is not None
    assert data.survey.images.stretch is not None
    low, high = map(float, data.survey.images.stretch.split(","))
    assert 80 <= low < high <= 200


def test_accents_that_are_written_in_two_ways(tmp_path: Path) -> None:
    names = {form: unicodedata.normalize(form, "Übung") for form in ("NFC", "NFD")}
    assert names["NFC"] != names["NFD"]
    fill(
        tmp_path,
        lambda d, n: Image.fromarray(things(n)).save(d / f"{names['NFD']}{n}.png"),
        lambda d, n: Image.fromarray(photo(n)).save(d / f"{names['NFC']}{n}.png"),
    )
    assert len(maps(read(tmp_path))) == COUNT


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train_images", "train_masks"),
        ("train", "trainannot"),
        ("train", "train_masks"),
        ("img_dir", "ann_dir"),
        ("Images", "Labels"),
    ],
)
def test_folders_of_other_names(tmp_path: Path, image: str, mask: str) -> None:
    fill(
        tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"),
        images=image, masks=mask,
    )  # fmt: skip
    data = read(tmp_path)
    expect(data)
    assert f"{image}/ + {mask}/" in data.layout


def test_parts_by_the_names_of_folders(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        fill(
            tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"),
            images=f"{part}", masks=f"{part}annot",
        )  # fmt: skip
    data = read(tmp_path)
    assert [len(part) for part in (data.train, data.val, data.test)] == [COUNT] * 3


@pytest.mark.parametrize("prefix", ["/home/someone/set/", "D:\\set\\", ".\\"])
def test_lists_with_paths_of_another_machine(tmp_path: Path, prefix: str) -> None:
    fill(tmp_path, lambda d, n: Image.fromarray(things(n)).save(d / f"{n}.png"))
    slash = "\\" if "\\" in prefix else "/"
    lines = [f"{prefix}images{slash}{n}.png;{prefix}masks{slash}{n}.png" for n in range(COUNT)]
    text = "\r\n".join(["image;mask", *lines])
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    expect(read(tmp_path / "list.csv"))


def test_yolo_with_a_mark_of_byte_order(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for number in range(COUNT):
        Image.fromarray(photo(number)).save(tmp_path / "images" / f"{number}.png")
        line = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\r\n"
        (tmp_path / "labels" / f"{number}.txt").write_bytes(b"\xef\xbb\xbf" + line.encode())
    (tmp_path / "data.yaml").write_text("names: [a]\n")
    assert all((each == 1).any() for each in maps(read(tmp_path)).values())


def test_annotations_of_images_in_a_folder_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    images, annotations = [], []
    for number in range(COUNT):
        Image.fromarray(photo(number)).save(tmp_path / "data" / f"{number}.png")
        images.append({"id": number, "file_name": f"C:\\set\\{number}.png"})
        box = [5, 5, 25, 5, 25, 25, 5, 25]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 3, "segmentation": [box]}
        )
    content = {
        "images": images, "annotations": annotations, "categories": [{"id": 3, "name": "a"}],
    }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(content))
    assert all((each == 1).sum() >= 400 for each in maps(read(tmp_path)).values())


def test_training_annotations_alone(tmp_path: Path) -> None:
    inside = tmp_path / "train"
    inside.mkdir()
    for number in range(COUNT):
        Image.fromarray(photo(number)).save(inside / f"{number}.png")
        shape = {"label": "a", "shape_type": "rectangle", "points": [[10, 5], [29, 19]]}
        content = {"shapes": [shape], "imagePath": f"{number}.png"}
        (inside / f"{number}.json").write_text(json.dumps(content))
    data = read(tmp_path)
    assert len(maps(data)) == COUNT
    assert data.layout == "train/ with labelme annotations"


def test_arrays_beside_images_are_named(tmp_path: Path) -> None:
    fill(tmp_path, lambda d, n: np.save(d / f"{n}.npy", things(n)))
    with pytest.raises(InputError, match=r"masks/0\.npy are not read"):
        read(tmp_path)


def test_pixels_without_a_class_beside_the_only_class(tmp_path: Path) -> None:
    def draw(folder: Path, number: int) -> None:
        values = things(number).astype(np.int16)
        values[:2] = -1
        tifffile.imwrite(folder / f"{number}.tif", values)

    fill(tmp_path, draw)
    path = tmp_path / "masks" / "0.tif"
    asked = settle_examples([path])
    assert asked.values == {-1: 255, 0: 0, 1: 1}
    assert all((each[:2] == 255).all() for each in maps(read(tmp_path)).values())


def settle_examples(masks: list[Path]) -> MaskOptions:
    facts = [look_at(read_stored(mask), mask) for mask in masks]
    return guess_classes(facts, MaskOptions())[1]


@pytest.mark.parametrize("codes", [[0, 7, 26, 26], [0, 37, 61, 140]])
def test_an_example_of_numbers_with_gaps_is_asked_about(tmp_path: Path, codes: list[int]) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array(codes, np.uint8)[things(0, 3)]).save(path)
    with pytest.raises(InputError, match="--mask_kind instances"):
        settle_examples([path])
