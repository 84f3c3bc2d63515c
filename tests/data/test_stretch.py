"""Deep images: one stretch for a set, a stated one for a picture, none where 16 bits are used."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.reading import ImageOptions, read_image, read_picture
from prompttune.data.stretch import Stretch, common_stretch
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError, forget_warnings

DIM = np.random.default_rng(0).integers(204, 561, (40, 60)).astype(np.uint16)


@pytest.fixture(autouse=True)
def _told_again() -> None:
    forget_warnings()


def save(path: Path, numbers: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, numbers, photometric="minisblack")
    else:
        Image.fromarray(numbers).save(path)
    return path


@pytest.mark.parametrize("suffix", ["tif", "png"])
@pytest.mark.parametrize("factor", [1, 4])
def test_a_narrow_picture_is_stretched_and_that_is_said_once(
    tmp_path: Path, suffix: str, factor: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path / f"dim.{suffix}", DIM * np.uint16(factor))
    low, high = np.percentile(DIM, (1, 99)) * factor
    with caplog.at_level(logging.WARNING, "prompttune"):
        pixels = read_image(path)
        read_image(path)
    (record,) = caplog.records
    assert f"({low:g} and {high:g}) are shown as black and white" in record.message
    expected = ((DIM * factor - low) * 255 / (high - low)).round().clip(0, 255)
    assert np.abs(pixels[:, :, 0] - expected).max() <= 1


def test_a_picture_of_the_whole_range_is_not_stretched(tmp_path: Path, caplog) -> None:
    numbers = np.random.default_rng(1).integers(0, 40_000, (40, 60)).astype(np.uint16)
    pixels = read_image(save(tmp_path / "a.tif", numbers))
    np.testing.assert_array_equal(pixels[:, :, 1], (numbers.astype(int) + 128) // 257)
    assert not caplog.records


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_numbers_without_a_range_are_read_with_a_stretch(tmp_path: Path, dtype: type) -> None:
    path = save(tmp_path / "a.tif", DIM.astype(dtype))
    with pytest.raises(InputError, match=f"{np.dtype(dtype).name} numbers.*--stretch image"):
        read_image(path)
    given = read_image(path, ImageOptions(stretch="204,560"))
    assert (given.min(), given.max()) == (0, 255)
    own = read_picture(path, ImageOptions(stretch="image"))
    assert own.stretch == Stretch(*np.percentile(DIM, (1, 99)))


def test_what_is_no_number_is_black(tmp_path: Path) -> None:
    numbers = DIM.astype(np.float32)
    numbers[0] = np.nan
    pixels = read_image(save(tmp_path / "a.tif", numbers), ImageOptions(stretch="image"))
    assert not pixels[0].any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shares_with_and_without_numbers(tmp_path: Path, dtype: type) -> None:
    gray = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32)
    shares = (gray / 255).astype(dtype)
    read = read_image(save(tmp_path / "a.tif", shares))[:, :, 0]
    assert np.abs(read.astype(int) - gray).max() <= 1
    shares[0] = np.nan
    gray[0] = 0
    read = read_image(save(tmp_path / "b.tif", shares))[:, :, 0]
    assert np.abs(read.astype(int) - gray).max() <= 1
    for value in (np.nan, np.inf):
        shares[:] = value
        with pytest.raises(InputError, match="whose black and white are not known"):
            read_image(save(tmp_path / "c.tif", shares))


def test_a_picture_that_a_stretch_cuts_off_is_named(tmp_path: Path, caplog) -> None:
    path = save(tmp_path / "a.tif", DIM * np.uint16(4))
    read_image(path, ImageOptions(stretch="204,560"))
    assert "holds numbers from 816 to 2240" in caplog.records[0].message
    assert "--stretch image" in caplog.records[0].message


def test_one_stretch_for_a_set() -> None:
    darker, brighter = DIM, DIM + np.uint16(200)
    stretch = Stretch.parse(common_stretch([darker, brighter]) or "")
    assert 204 <= stretch.low < 260
    assert 700 < stretch.high <= 760
    assert common_stretch([DIM.astype(np.uint8)]) is None
    assert common_stretch([DIM, (DIM * 100).astype(np.uint16)]) == "full"


def test_a_set_of_deep_images_is_read_alike_and_the_recipe_keeps_it(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "images" / f"{number}.tif", DIM + np.uint16(20 * number))
        save(tmp_path / "masks" / f"{number}.png", (DIM > 400).astype(np.uint8))
    data = task_data(Recipe("custom"), tmp_path)
    assert data.recipe is not None
    assert data.survey is not None
    stretch = Stretch.parse(str(data.recipe.stretch))
    assert f"shown from {stretch.low:g} to {stretch.high:g}" in data.survey.line
    assert "16-bit gray" in data.survey.line
    for sample in data.train:
        numbers = tifffile.imread(tmp_path / "images" / f"{sample.name}.tif")
        np.testing.assert_array_equal(sample.image[:, :, 0], stretch.apply(numbers))
    assert data.recipe.to_dict()["stretch"] == str(stretch)


@pytest.mark.parametrize("text", ["1", "5,1", "a,b", "1,2,3"])
def test_a_stretch_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="LOW,HIGH"):
        ImageOptions.of(None, text)
