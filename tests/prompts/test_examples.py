"""Where crops are cut, and images of any kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from photos import photo
from PIL import Image

from prompttune.data.inputs import load_image
from prompttune.prompts.prompt import crop_most_foreground


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_a_crop_holds_most_foreground(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    mask = (generator.random((30, 26)) < 0.2).astype(np.uint8)
    mask[generator.random((30, 26)) < 0.1] = 255
    image = torch.from_numpy(np.stack([mask] * 3)) / 255
    canvas = 11
    size = tuple(round(side * scale) for side in mask.shape)
    whole = np.array(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))
    most = max(
        (whole[top : top + canvas, left : left + canvas] == 1).sum()
        for top in range(size[0] - canvas + 1)
        for left in range(size[1] - canvas + 1)
    )
    cut_image, cut_mask = crop_most_foreground(image, torch.from_numpy(mask), scale, canvas)
    assert cut_image.shape == (3, canvas, canvas)
    assert (cut_mask == 1).sum() == most
    again = crop_most_foreground(image, torch.from_numpy(mask), scale, canvas)
    assert cut_image.equal(again[0])
    if scale == 1:  # image and mask are cut at the same place
        assert torch.equal((cut_image[0] * 255).round().byte(), cut_mask)


def test_a_small_object_is_cut_in_the_middle() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[20:22, 12:14] = 1
    _, cut = crop_most_foreground(torch.zeros(3, 40, 40), torch.from_numpy(mask), 1.0, 12)
    assert cut.nonzero().tolist() == [[5, 5], [5, 6], [6, 5], [6, 6]]


def test_pil_images_are_turned_upright(tmp_path: Path) -> None:
    image = photo()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.rot90(image)).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(load_image(Image.open(tmp_path / "turned.png")), image)
    assert np.array_equal(load_image(tmp_path / "turned.png"), image)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "CMYK"])
def test_pil_images_of_any_mode_become_rgb(mode: str) -> None:
    image = Image.fromarray(photo()).convert(mode)
    loaded = load_image(image)
    assert loaded.flags.writeable
    assert np.array_equal(loaded, np.array(image.convert("RGB")))
