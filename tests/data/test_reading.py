"""Images of every kind are read rightly, and bad ones are refused in one line."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from prompttune.data.reading import read_image, rgb_from_array, rgb_from_pil
from prompttune.utils.errors import InputError

COLORS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY = COLORS[:, :, 0]
ORIENTATION = 274


def deep(pixels: np.ndarray) -> np.ndarray:
    """Return 16-bit pixels whose nearest 8-bit ones are `pixels`, low bytes included."""
    noise = np.random.default_rng(1).integers(-100, 101, pixels.shape)
    return (pixels.astype(int) * 257 + noise).clip(0, 65535).astype(np.uint16)


def expanded(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[:, :, None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm"])
def test_color_images_keep_their_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(COLORS).save(path)
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, COLORS)


def test_jpeg_and_webp_are_read(tmp_path: Path) -> None:
    flat = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    for suffix in ("jpg", "webp"):
        path = tmp_path / f"flat.{suffix}"
        Image.fromarray(flat).save(path, quality=95)
        assert np.abs(read_image(path).astype(int) - flat).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "gif"])
def test_gray_images_become_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"gray.{suffix}"
    Image.fromarray(GRAY).save(path)
    np.testing.assert_array_equal(read_image(path), expanded(GRAY))


def test_palette_images_show_their_colors(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3), "P")
    colors = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    image.putpalette(colors.tobytes())
    for name, options in (("a.png", {}), ("a.gif", {}), ("b.png", {"transparency": b"\0\x80"})):
        image.save(tmp_path / name, **options)
        np.testing.assert_array_equal(read_image(tmp_path / name), colors[:6].reshape(2, 3, 3))


def test_bilevel_images_become_black_and_white(tmp_path: Path) -> None:
    bits = GRAY > 127
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png"), expanded(bits * np.uint8(255)))


def test_alpha_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([COLORS, GRAY])).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), COLORS)
    Image.fromarray(np.dstack([GRAY, 255 - GRAY]), "LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), expanded(GRAY))


def test_16_bit_png_is_rounded_to_the_nearest_8_bit_value(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), deep(GRAY))
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png"), expanded(GRAY))
    cv2.imwrite(str(tmp_path / "rgb.png"), deep(COLORS)[:, :, ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.png"), COLORS)
    rgba = np.dstack([deep(COLORS)[:, :, ::-1], deep(GRAY)])
    cv2.imwrite(str(tmp_path / "rgba.png"), rgba)
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), COLORS)


def test_16_bit_gray_png_with_alpha(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = np.dstack([deep(GRAY), deep(255 - GRAY)]).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 30, 20, 16, 4, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    (tmp_path / "la.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*p) for p in parts))
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), expanded(GRAY))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff(tmp_path: Path, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "gray.tif", deep(GRAY), compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "gray.tif"), expanded(GRAY))
    options = {"photometric": "rgb", "compression": compression}
    tifffile.imwrite(tmp_path / "rgb.tif", deep(COLORS), **options)
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.tif"), COLORS)
    planes = np.moveaxis(deep(COLORS), -1, 0)
    tifffile.imwrite(tmp_path / "planes.tif", planes, planarconfig="separate", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "planes.tif"), COLORS)
    white_is_zero = 65535 - deep(GRAY)
    tifffile.imwrite(tmp_path / "white.tif", white_is_zero, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "white.tif"), expanded(GRAY))


def test_16_bit_tiff_with_lzw_as_opencv_and_imagej_write_it(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "lzw.tif"), deep(COLORS)[:, :, ::-1])
    with tifffile.TiffFile(tmp_path / "lzw.tif") as file:
        assert file.pages.first.compression == tifffile.COMPRESSION.LZW
    np.testing.assert_array_equal(read_image(tmp_path / "lzw.tif"), COLORS)


def test_16_bit_netpbm(tmp_path: Path) -> None:
    gray = b"P5\n30 20\n65535\n" + deep(GRAY).astype(">u2").tobytes()
    (tmp_path / "gray.pgm").write_bytes(gray)
    np.testing.assert_array_equal(read_image(tmp_path / "gray.pgm"), expanded(GRAY))
    colors = b"P6\n30 20\n65535\n" + deep(COLORS).astype(">u2").tobytes()
    (tmp_path / "rgb.ppm").write_bytes(colors)
    assert np.abs(read_image(tmp_path / "rgb.ppm").astype(int) - COLORS).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    smooth = cv2.resize(COLORS[:3, :4], (64, 48), interpolation=cv2.INTER_LINEAR)
    for name in ("photo.jpg", "photo.png", "photo.webp"):
        Image.fromarray(smooth).save(tmp_path / name, exif=exif)
        with Image.open(tmp_path / name) as image:
            upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(read_image(tmp_path / name), upright)


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_tiff_of_any_depth(tmp_path: Path, orientation: int) -> None:
    turned = np.rot90(GRAY, {3: 2, 6: 3}[orientation])
    tag = [(ORIENTATION, "H", 1, orientation, True)]
    for pixels in (GRAY, deep(GRAY)):
        tifffile.imwrite(tmp_path / "turned.tif", pixels, extratags=tag)
        np.testing.assert_array_equal(read_image(tmp_path / "turned.tif"), expanded(turned))


def test_orientation_of_16_bit_png(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "plain.png"), deep(GRAY))
    data = (tmp_path / "plain.png").read_bytes()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = exif.tobytes()[6:]
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + content))
    end_of_header = 8 + 25
    (tmp_path / "turned.png").write_bytes(data[:end_of_header] + chunk + data[end_of_header:])
    turned = np.rot90(GRAY, 3)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), expanded(turned))


def test_first_frame_of_animations_and_first_page_of_tiff(tmp_path: Path) -> None:
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    for name in ("moving.gif", "pages.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), expanded(GRAY))


GRAY_SHARES = ((GRAY / GRAY.max() * 65535).round().astype(int) + 128) // 257


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32])
def test_wide_integers_of_8_bits_are_8_bits(tmp_path: Path, dtype: type) -> None:
    tifffile.imwrite(tmp_path / "numbers.tif", GRAY.astype(dtype))
    np.testing.assert_array_equal(read_image(tmp_path / "numbers.tif"), expanded(GRAY))


def test_pillow_images_and_arrays_follow_the_same_rules() -> None:
    np.testing.assert_array_equal(rgb_from_pil(Image.fromarray(deep(GRAY))), expanded(GRAY))
    np.testing.assert_array_equal(rgb_from_pil(Image.fromarray(COLORS)), COLORS)
    np.testing.assert_array_equal(rgb_from_array(deep(COLORS)), COLORS)
    np.testing.assert_array_equal(rgb_from_array(GRAY), expanded(GRAY))
    np.testing.assert_array_equal(rgb_from_array(GRAY / GRAY.max()), expanded(GRAY_SHARES))
    with pytest.raises(InputError, match="float64"):
        rgb_from_array(GRAY / 25)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read_image(path)
    line = str(refused.value)
    assert str(path) in line
    assert "\n" not in line
    return line


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.png")
    assert "not a file" in refusal(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.png")


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no pixels here")
    assert "not an image" in refusal(tmp_path / "notes.png")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize(
    "kind", ["png", "jpg", "gif", "bmp", "ppm", "webp", "tif", "deep.png", "deep.tif", "deep.z.tif"]
)
def test_truncated_file(
    tmp_path: Path, kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"half.{kind}"
    image = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    if kind == "deep.png":
        cv2.imwrite(str(path), deep(image))
    elif kind.startswith("deep"):
        compression = "zlib" if ".z." in kind else None
        tifffile.imwrite(path, deep(image), photometric="rgb", compression=compression)
    else:
        Image.fromarray(image).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "truncated" in refusal(path)
    assert capfd.readouterr() == ("", "")  # the error is the only line that a user sees


def test_damaged_bytes(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "damaged.png")
    data = bytearray((tmp_path / "damaged.png").read_bytes())
    data[200] ^= 255
    (tmp_path / "damaged.png").write_bytes(data)
    assert "damaged" in refusal(tmp_path / "damaged.png")


def header_only_png(path: Path, width: int, height: int) -> None:
    """Write a PNG that has no pixels: decoding it would fail, so only its header can be judged."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    chunks += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("side", [10_000, 12_000, 40_000])
def test_100_megapixels_are_refused_from_the_header(tmp_path: Path, side: int) -> None:
    header_only_png(tmp_path / "huge.png", side, side)
    line = refusal(tmp_path / "huge.png")
    assert "100 megapixels" in line
    assert "scale it down" in line


def test_a_little_under_100_megapixels_is_not_too_large(tmp_path: Path) -> None:
    header_only_png(tmp_path / "large.png", 9_999, 10_000)
    assert "megapixels" not in refusal(tmp_path / "large.png")  # it has no pixels, though


def test_number_types_without_a_range_are_refused(tmp_path: Path) -> None:
    for dtype in (np.float32, np.int16):
        tifffile.imwrite(tmp_path / "numbers.tif", GRAY.astype(dtype))
        assert np.dtype(dtype).name in refusal(tmp_path / "numbers.tif")


def test_stack_is_refused(tmp_path: Path) -> None:
    volume = np.zeros((32, 32, 32), np.uint16)
    tifffile.imwrite(tmp_path / "volume.tif", volume, volumetric=True, tile=(16, 16, 16))
    assert "stack" in refusal(tmp_path / "volume.tif")
