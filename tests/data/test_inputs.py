"""Images and masks of every kind that a notebook has give the same prompt and the same answer."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.data.inputs import load_image
from prompttune.prompts.examples import load_examples
from prompttune.utils.errors import InputError, forget_warnings

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
MASK = (PHOTO[..., 0] > 100).astype(np.uint8)


def png(array: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    "given",
    [
        PHOTO,
        np.dstack([PHOTO, MASK]),
        PHOTO.astype(np.uint16) * 257,
        PHOTO / 255,
        (PHOTO / 255).astype(np.float32),
        Image.fromarray(PHOTO),
        png(PHOTO),
        torch.from_numpy(PHOTO).movedim(-1, 0),
        torch.from_numpy(PHOTO).movedim(-1, 0) / 255,
        torch.from_numpy(np.dstack([PHOTO, MASK])).movedim(-1, 0),
        (torch.from_numpy(PHOTO).movedim(-1, 0) / 255).requires_grad_(),
    ],
    ids=lambda given: f"{type(given).__name__}-{getattr(given, 'dtype', '')}",
)
def test_kinds_of_an_image_are_one_image(given: object) -> None:
    assert np.array_equal(load_image(given), PHOTO)  # type: ignore[arg-type]


@pytest.mark.parametrize("held", ["array", "tensor"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_numbers_of_every_kind_and_shape_are_one_image(
    channels: int, dtype: str, held: str
) -> None:
    four = np.dstack([PHOTO, MASK])
    pixels = four[..., :channels] if channels else four[..., 0]
    colors = pixels[..., :3] if channels >= 3 else four[..., :1].repeat(3, axis=2)
    whole = {"uint8": pixels, "uint16": pixels.astype(np.uint16) * 257}
    given = whole[dtype] if dtype in whole else (pixels / 255).astype(dtype)
    if held == "tensor":
        tensor = torch.from_numpy(np.ascontiguousarray(given))
        given = tensor.movedim(-1, 0) if channels else tensor
    loaded = load_image(given)
    assert loaded.dtype == np.uint8
    assert np.array_equal(loaded, colors)


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png(PHOTO))
    assert np.array_equal(load_image(path), PHOTO)
    assert np.array_equal(load_image(str(path)), PHOTO)


@pytest.mark.parametrize(
    "given", [PHOTO[..., 0], PHOTO[..., :1], torch.from_numpy(PHOTO[..., 0])[None]]
)
def test_gray_becomes_three_channels(given: object) -> None:
    gray = load_image(given)  # type: ignore[arg-type]
    assert np.array_equal(gray, PHOTO[..., :1].repeat(3, axis=2))


def test_a_warning_names_bytes_by_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    _, narrow = cv2.imencode(".png", RNG.integers(100, 900, (4, 4), dtype=np.uint16))
    load_image(narrow.tobytes(), "example 1, image")
    (told,) = caplog.messages
    assert told.startswith("example 1, image: 16-bit gray numbers of a narrow range")


def test_bytes_of_16_bits_are_read_as_the_file_is(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (4, 4, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    from_file = load_image(tmp_path / "deep.png")
    assert np.array_equal(load_image((tmp_path / "deep.png").read_bytes()), from_file)


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK.astype(bool),
        MASK[..., None],
        MASK.astype(np.int64),
        Image.fromarray(MASK * 255),
        png(MASK * 255),
        torch.from_numpy(MASK),
        torch.from_numpy(MASK)[None].bool(),
    ],
    ids=lambda mask: type(mask).__name__,
)
def test_kinds_of_a_mask_are_one_mask(mask: object) -> None:
    _, ((_, class_map),) = load_examples([(PHOTO, mask)], ["thing"])  # type: ignore[list-item]
    assert np.array_equal(class_map.numpy(), MASK)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("https://example.org/eye.png", "is a URL; download the file first"),
        (Path("https://example.org/eye.png"), "is a URL"),
        ("s3://bucket/eye.png", "is a URL"),
        ("no-such.png", "no-such.png: no such file"),
        (b"", "image: is empty"),
        (b"GIF89a", "image: is not an image"),
        (PHOTO / 2, "float64 pixels from"),
        (PHOTO / 255 - 0.5, r"scale them to \[0, 1\]"),
        (np.full((4, 4), np.nan), "float64 pixels from nan"),
        (PHOTO.astype(np.int64) * 1000, "pixels are int64"),
        (PHOTO.transpose(2, 0, 1).repeat(2, axis=0), "the colors come last"),
        (torch.from_numpy(PHOTO), "tensor of 6 x 5 x 3; the channels come first"),
        (torch.zeros(2, 3, 4, 4), r"give one image at a time, or list\(batch\)"),
        (torch.zeros(()), "array of no size"),
        (["eye.png"], "image: list given; give a path, bytes, a PIL image, a tensor"),
        (None, "NoneType given"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_in_a_line(given: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        load_image(given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_channels_may_come_first() -> None:
    from prompttune.data.inputs import load_image

    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    np.testing.assert_array_equal(load_image(np.moveaxis(pixels, 2, 0)), pixels)
    np.testing.assert_array_equal(load_image(pixels), pixels)
    narrow = pixels[:, :3]  # 12 x 3 x 3: the last axis is that of the channels
    np.testing.assert_array_equal(load_image(narrow), narrow)


def test_axes_of_xarray_are_known_by_name() -> None:
    xarray = pytest.importorskip("xarray")
    from prompttune.data.inputs import load_image

    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    first = xarray.DataArray(np.moveaxis(pixels, 2, 0), dims=("band", "y", "x"))
    np.testing.assert_array_equal(load_image(first), pixels)
    last = xarray.DataArray(pixels, dims=("y", "x", "channel"))
    np.testing.assert_array_equal(load_image(last), pixels)
    np.testing.assert_array_equal(load_image(last[:, :, 0])[:, :, 1], pixels[:, :, 0])
    with pytest.raises(InputError, match="none of the axes a, b, c2"):
        load_image(xarray.DataArray(pixels, dims=("a", "b", "c2")))
