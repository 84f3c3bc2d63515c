"""Examples from files that are more than one plain picture."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.inputs import load_image
from prompttune.prompts.examples import load_examples

MASK = np.zeros((20, 30), np.uint8)
MASK[4:10, 5:20] = 1


def test_a_mask_drawn_before_exif_turned_its_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(MASK * np.uint8(200)).convert("RGB").save(tmp_path / "a.png", exif=exif)
    Image.fromarray(MASK * np.uint8(255)).save(tmp_path / "mask.png")
    with caplog.at_level(logging.WARNING, "prompttune"):
        _, ((image, class_map),) = load_examples(
            [(tmp_path / "a.png", tmp_path / "mask.png")], None
        )
    np.testing.assert_array_equal(class_map.numpy(), np.rot90(MASK, -1))
    assert ((image[0] > 0.5) == (class_map == 1)).all()
    assert "drawn before that" in caplog.text


def test_of_a_stack_the_first_page_is_read_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stack = np.stack([MASK, MASK * 0, MASK * 0])
    tifffile.imwrite(tmp_path / "stack.tif", stack * np.uint8(200), photometric="minisblack")
    with caplog.at_level(logging.WARNING, "prompttune"):
        pixels = load_image(tmp_path / "stack.tif")
    assert (pixels[:, :, 0] > 0).sum() == MASK.sum()
    assert "the first of 3 pages" in caplog.text
