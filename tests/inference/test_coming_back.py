"""What `predict` writes can be given to `tune`: the class maps are read as they were written."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from geotiffs import georeferenced
from geotiffs import line as line
from PIL import Image
from predicting import backbone as backbone

from prompttune.cli import predict
from prompttune.data.layouts import find_split, load_sample

RNG = np.random.default_rng(0)
THRESHOLD = 0.2
"""Of the scores of a network that has learned nothing, some are above it."""


def shades(count: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, 20, 24), np.uint8)


def write(folder: Path, kind: str) -> None:
    for number in range(3):
        if kind == "geotiff":
            georeferenced(folder / f"{number}.tif", RNG.integers(1, 256, (20, 24, 3), np.uint8))
        elif kind == "stack":
            tifffile.imwrite(folder / f"{number}.tif", shades(2), photometric="minisblack")
        elif kind == "nifti":
            voxels = shades(2).transpose(1, 2, 0).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{number}.nii.gz")
        else:
            Image.fromarray(shades(1)[0]).save(folder / f"{number}.png")


def stored(mask: Path, page: int) -> np.ndarray:
    if mask.suffix == ".png":
        with Image.open(mask) as image:
            return np.asarray(image)
    if mask.suffix == ".tif":
        pages = tifffile.imread(mask)
        return pages[page] if pages.ndim == 3 else pages
    raise AssertionError(mask)


@pytest.mark.parametrize("kind", ["png", "geotiff", "stack", "nifti"])
def test_masks_come_back(tmp_path: Path, line, kind: str) -> None:
    images, masks = tmp_path / "set" / "images", tmp_path / "set" / "masks"
    images.mkdir(parents=True)
    write(images, kind)
    assert predict.main(line(*sorted(images.iterdir()), "--threshold", THRESHOLD)) == 0
    masks.mkdir()
    for file in sorted((tmp_path / "out").iterdir()):
        if "_overlay" not in file.name and file.suffix != ".csv" and file.is_file():
            file.rename(masks / file.name)
    split = find_split(tmp_path / "set")
    samples = {*split.train, *split.val, *split.test}
    assert len(samples) == (6 if kind in ("stack", "nifti") else 3)
    shown = 0
    for sample in samples:
        found = load_sample(sample, 1).class_map
        shown += int(found.sum())
        if kind == "nifti":
            volume = np.asanyarray(nibabel.load(sample.mask).dataobj)
            assert sorted(np.unique(volume)) in ([0], [0, 1], [1])
            assert found.sum() in [int(volume[:, :, each].sum()) for each in range(2)]
        else:
            np.testing.assert_array_equal(found, stored(sample.mask, sample.page))
    assert shown > 0
