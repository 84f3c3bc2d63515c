"""Kaggle's tables of run lengths: how pixels are counted, classes, what is not understood."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.annotated_folders import annotated_names
from prompttune.data.annotations.run_lengths import PixelRuns
from prompttune.data.folders import is_labeled
from prompttune.data.layouts import Split, find_split, load_sample
from prompttune.utils.errors import InputError

HEIGHT, WIDTH = 20, 30


def drawn(number: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A thing that is wider than high, `H x W bool`."""
    mask = np.zeros(shape, bool)
    mask[3 : 7 + number, 4 : 16 - number] = True
    return mask


def runs(mask: np.ndarray, along_rows: bool = False, first: int = 1) -> str:
    """Encode a mask slowly: one pixel after the other."""
    order = mask.ravel() if along_rows else mask.T.ravel()
    found: list[list[int]] = []
    for number, inside in enumerate(order):
        if inside and found and sum(found[-1]) == number + first:
            found[-1][1] += 1
        elif inside:
            found.append([number + first, 1])
    return " ".join(f"{start} {length}" for start, length in found)


def write(folder: Path, *lines: str, name: str = "train.csv", images: int = 4) -> None:
    (folder / "train_images").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        save(folder / "train_images" / f"{number}.jpg", (HEIGHT, WIDTH))
    (folder / name).write_text("\n".join(lines) + "\n")


def save(path: Path, shape: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(path)


def maps(split: Split) -> dict[str, np.ndarray]:
    samples = [*split.train, *split.val, *split.test]
    return {sample.name.rpartition("/")[2]: load_sample(sample, 2).class_map for sample in samples}


@pytest.mark.parametrize("along_rows", [False, True])
@pytest.mark.parametrize("first", [1, 0])
def test_masks_come_back(tmp_path: Path, along_rows: bool, first: int) -> None:
    masks = [drawn(number) for number in range(3)]
    if first == 0:  # only where the first pixel is covered can one tell
        masks[0] = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % WIDTH < 9
    cells = [runs(mask, along_rows, first) for mask in masks]
    write(
        tmp_path, "ImageId,EncodedPixels", *(f"{n}.jpg,{cell}" for n, cell in enumerate(cells)),
        "3.jpg,",
    )  # fmt: skip
    found = find_split(tmp_path, classes=("ship",))
    for number, mask in enumerate([*masks, np.zeros((HEIGHT, WIDTH), bool)]):
        np.testing.assert_array_equal(maps(found)[str(number)], mask)
    way = "along the rows" if along_rows else "down the columns"
    assert any(way in note for note in found.notes)


def test_several_rows_of_one_image_and_names_without_endings(tmp_path: Path) -> None:
    left, right = drawn(0), np.roll(drawn(1), 13, 1)
    write(
        tmp_path, "id,rle_mask", f"0,{runs(left)}", f"0,{runs(right)}", "1,-1", f"2,{runs(left)}",
        f"9,{runs(left)}",
    )  # fmt: skip
    found = find_split(tmp_path, classes=("salt",))
    np.testing.assert_array_equal(maps(found)["0"], left | right)
    assert not maps(found)["1"].any()
    assert sorted(maps(found)) == ["0", "1", "2"]
    assert any("are not there: 1" in note for note in found.notes)
    assert "1 images without" in found.layout


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("ImageId,ClassId,EncodedPixels", "{image}.jpg,{name},{cell}"),
        ("ImageId_ClassId,EncodedPixels", "{image}.jpg_{name},{cell}"),
        ("Image_Label,EncodedPixels", "{image}.jpg_{name},{cell}"),
    ],
)
def test_classes_are_those_of_their_column(tmp_path: Path, head: str, row: str) -> None:
    one, two = drawn(0), np.roll(drawn(1), 13, 1)
    lines = [
        row.format(image=image, name=name, cell=runs(mask))
        for image in range(4)
        for name, mask in (("fish", one), ("flower", two))
    ]
    write(tmp_path, head, *lines, f"{row.format(image=0, name='sugar', cell='')}")
    found = find_split(tmp_path, classes=("flower", "fish"))
    np.testing.assert_array_equal(maps(found)["0"], 1 * two + 2 * one)
    assert annotated_names(tmp_path) == ("fish", "flower")
    with pytest.raises(InputError, match="things of several names are annotated"):
        find_split(tmp_path, classes=("foreground",))


def test_a_table_may_be_named(tmp_path: Path) -> None:
    write(tmp_path, "ImageId,EncodedPixels", *(f"{n}.jpg,{runs(drawn(n))}" for n in range(4)))
    (tmp_path / "sample_submission.csv").write_text("ImageId,EncodedPixels\n7.jpg,1 1\n")
    by_file = find_split(tmp_path / "train.csv", classes=("ship",))
    np.testing.assert_array_equal(maps(by_file)["2"], drawn(2))
    assert is_labeled(tmp_path)


def test_square_images_do_not_tell_and_follow_kaggle(tmp_path: Path) -> None:
    mask = drawn(0, (24, 24))
    for number in range(4):
        save(tmp_path / "train" / f"{number}.png", (24, 24))
    rows = (f"{number},{runs(mask)}" for number in range(4))
    (tmp_path / "train.csv").write_text("\n".join(("id,rle_mask", *rows)))
    np.testing.assert_array_equal(maps(find_split(tmp_path, classes=("salt",)))["0"], mask)


def test_masks_beside_a_table_count(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "images" / f"{number}.png", (24, 24))
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask = 255 * drawn(number, (24, 24)).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "train.csv").write_text("id,rle_mask\n0,1 5\n")
    np.testing.assert_array_equal(
        maps(find_split(tmp_path, classes=("salt",)))["3"] > 0, drawn(3, (24, 24))
    )


def test_two_tables_are_asked_about(tmp_path: Path) -> None:
    write(tmp_path, "ImageId,EncodedPixels", "0.jpg,1 4")
    write(tmp_path, "ImageId,EncodedPixels", "0.jpg,1 4", name="train_v2.csv")
    assert is_labeled(tmp_path)
    with pytest.raises(InputError, match=r"train\.csv and train_v2\.csv both hold run lengths"):
        find_split(tmp_path, classes=("ship",))


def test_images_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, "ImageId,EncodedPixels", "77.jpg,1 4")
    with pytest.raises(InputError, match="names none of the images below"):
        find_split(tmp_path, classes=("ship",))


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("1 4 2", "are 3 numbers; they must be pairs"),
        ("5 4 2 3", "its runs do not follow each other"),
        ("5 4 7 3", "its runs do not follow each other"),
        ("5 0", "a run of no pixels"),
        ("1 x", "are no whole numbers"),
        ("1 99999999999999999999", "are no whole numbers"),
        (f"{HEIGHT * WIDTH} 2", "reach beyond the image's 30 x 20 pixels"),
    ],
)
def test_broken_cells_are_named(tmp_path: Path, cell: str, match: str) -> None:
    write(tmp_path, "ImageId,EncodedPixels", f"0.jpg,{cell}")
    with pytest.raises(InputError, match=match) as caught:
        maps(find_split(tmp_path, classes=("ship",)))
    assert "train.csv: line 2" in str(caught.value)


def test_rows_without_an_image_are_named(tmp_path: Path) -> None:
    write(tmp_path, "ImageId,EncodedPixels", ",1 4")
    with pytest.raises(InputError, match="line 2 names no image"):
        find_split(tmp_path, classes=("ship",))


def test_area_is_the_number_of_pixels() -> None:
    mask = drawn(2)
    assert PixelRuns.of(runs(mask), 1, False).area() == mask.sum()
