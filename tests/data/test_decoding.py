"""Images of many bands, pages and arrangements."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.decoding import decode_tiff, header, page_count
from prompttune.data.reading import ImageOptions, read_image, read_picture
from prompttune.utils.errors import InputError

BANDS = np.random.default_rng(0).integers(0, 256, (8, 20, 30), dtype=np.uint8)
RGB = np.moveaxis(BANDS[:3], 0, -1)


def arranged(path: Path, count: int, kind: str) -> Path:
    pixel_after_pixel = np.moveaxis(BANDS[:count], 0, -1)
    extra = ["unspecified"] * (count - 3)
    if kind == "separate":
        options = {"planarconfig": "separate", "photometric": "minisblack"}
        tifffile.imwrite(path, BANDS[:count], compression="zlib", **options)
    elif kind == "rgb":
        tifffile.imwrite(path, pixel_after_pixel, photometric="rgb", extrasamples=extra)
    elif kind == "deep":
        options = {"planarconfig": "contig", "photometric": "minisblack"}
        tifffile.imwrite(path, pixel_after_pixel.astype(np.uint16) * 257, **options)
    else:
        options = {"planarconfig": "contig", "photometric": "minisblack"}
        tifffile.imwrite(path, pixel_after_pixel, **options)
    return path


@pytest.mark.parametrize("kind", ["separate", "contig", "deep", "rgb"])
@pytest.mark.parametrize("count", [4, 5, 8])
def test_of_many_bands_the_first_three_are_shown(tmp_path: Path, kind: str, count: int) -> None:
    path = arranged(tmp_path / "a.tif", count, kind)
    np.testing.assert_array_equal(read_image(path), RGB)
    assert page_count(path) == 1
    expected = "RGB + 1 band" if count == 4 else f"{count} bands"
    if not (kind == "rgb" and count == 4):  # which may be alpha
        assert expected in header(path)[1]
        assert read_picture(path).bits == header(path)[1]


def test_other_bands_can_be_chosen(tmp_path: Path) -> None:
    path = arranged(tmp_path / "a.tif", 8, "separate")
    infrared = read_image(path, ImageOptions.of("4,3,2", None))
    np.testing.assert_array_equal(infrared, np.moveaxis(BANDS[[3, 2, 1]], 0, -1))
    alone = read_image(path, ImageOptions.of("8", None))
    np.testing.assert_array_equal(alone, np.repeat(BANDS[7][:, :, None], 3, 2))
    Image.fromarray(RGB).save(tmp_path / "a.png")
    swapped = read_image(tmp_path / "a.png", ImageOptions.of("3,2,1", None))
    np.testing.assert_array_equal(swapped, RGB[:, :, ::-1])
    with pytest.raises(InputError, match=r"a\.tif: has 8 bands"):
        read_image(path, ImageOptions.of("9", None))


@pytest.mark.parametrize("text", ["0", "1,2", "a", "1,2,3,4", ""])
def test_bands_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--bands"):
        ImageOptions.of(text, None)


def test_two_bands_show_the_first(tmp_path: Path) -> None:
    path = arranged(tmp_path / "a.tif", 2, "separate")
    np.testing.assert_array_equal(read_image(path)[:, :, 0], BANDS[0])


def test_pages_of_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", BANDS, photometric="minisblack")
    assert page_count(tmp_path / "a.tif") == 8
    for page in (0, 3, 7):
        pixels = read_image(tmp_path / "a.tif", page=page)
        np.testing.assert_array_equal(pixels[:, :, 0], BANDS[page])


def test_channels_of_a_microscope_are_bands_and_slices_are_pages(tmp_path: Path) -> None:
    volume = np.random.default_rng(1).integers(0, 256, (5, 3, 20, 30), dtype=np.uint8)
    for name, options in (("a.ome.tif", {}), ("b.tif", {"imagej": True})):
        path = tmp_path / name
        tifffile.imwrite(path, volume, metadata={"axes": "ZCYX"}, **options)
        assert page_count(path) == 5
        np.testing.assert_array_equal(read_image(path, page=2), np.moveaxis(volume[2], 0, -1))


def test_a_small_preview_is_no_page_of_a_stack(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    assert page_count(tmp_path / "a.tif") == 1


def test_frames_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 9), value, np.uint8)) for value in (10, 90, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert page_count(tmp_path / "a.gif") == 3
    assert read_image(tmp_path / "a.gif", page=2)[0, 0, 0] == 200


def test_what_is_no_image_has_one_page(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0 but nothing behind it")
    assert page_count(tmp_path / "a.tif") == 1
    with pytest.raises(InputError, match=r"a\.tif"):
        read_image(tmp_path / "a.tif")


def test_pixels_without_data_are_marked_and_left_out_of_the_stretch(tmp_path: Path) -> None:
    numbers = np.random.default_rng(2).integers(100, 300, (20, 30)).astype(np.float32)
    numbers[:5] = -9999
    tag = (42113, "s", 6, "-9999", True)
    tifffile.imwrite(tmp_path / "a.tif", numbers, extratags=[tag])
    picture = read_picture(tmp_path / "a.tif", ImageOptions(stretch="image"))
    assert picture.empty is not None
    assert picture.empty[:5].all()
    assert not picture.empty[5:].any()
    assert picture.stretch is not None
    assert 100 <= picture.stretch.low < 110


def test_an_array_with_a_last_axis_of_one_is_one_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 1), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels[0])
    tifffile.imwrite(tmp_path / "stack.tif", pixels)
    assert [page_count(tmp_path / name) for name in ("a.tif", "stack.tif")] == [1, 3]
    assert header(tmp_path / "a.tif")[0] == (30, 20)
    np.testing.assert_array_equal(decode_tiff(tmp_path / "a.tif"), pixels[0, :, :, 0])
    np.testing.assert_array_equal(decode_tiff(tmp_path / "stack.tif", 2), pixels[2, :, :, 0])
