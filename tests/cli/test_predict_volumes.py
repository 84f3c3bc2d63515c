"""Volumes through `predict`: masks on their grid, one range for all, DICOM SEG."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from dicoms import write_dicom
from PIL import Image
from predicting import backbone as backbone

from prompttune.cli import predict
from prompttune.utils.errors import forget_warnings

RNG = np.random.default_rng(0)
CT = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}


@pytest.fixture(autouse=True)
def _told_again() -> None:
    forget_warnings()


def run(tmp_path: Path, backbone: Path, *words: object) -> None:
    line = [*words, "--output", tmp_path / "out", "--backbone", backbone, "--scale", 1]
    assert predict.main([str(each) for each in line]) == 0


def test_a_nifti_volume_comes_back_on_its_grid(tmp_path: Path, backbone: Path, capsys) -> None:
    affine = np.array([[0, 0.5, 0, 3], [-0.5, 0, 0, 4], [0, 0, 1.0, 5], [0, 0, 0, 1]])
    voxels = RNG.integers(-500, 900, (20, 24, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / "head.nii.gz")
    labels = np.zeros(voxels.shape, np.uint8)
    labels[4:12, 5:20, 1] = 1
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "labels.nii.gz")
    image, mask = tmp_path / "head.nii.gz", tmp_path / "labels.nii.gz"
    run(tmp_path, backbone, image, "--example", image, mask)
    answer = nibabel.load(tmp_path / "out" / "head.nii.gz")
    assert answer.shape == voxels.shape
    np.testing.assert_array_equal(answer.affine, affine)
    assert set(np.unique(np.asanyarray(answer.dataobj))) <= {0, 1}
    assert tifffile.imread(tmp_path / "out" / "head_overlay.tif").shape[0] == 3
    said = capsys.readouterr()
    assert "examples and images are shown from" in said.err
    assert "NIfTI, axial slices" in said.out


def test_a_dicom_series_becomes_a_stack_and_a_seg(tmp_path: Path, backbone: Path, capsys) -> None:
    for place in range(3):
        stored = RNG.integers(800, 1400, (20, 24))
        write_dicom(tmp_path / "ct" / f"{9 - place}.dcm", stored, place, **CT)
    write_dicom(tmp_path / "example.dcm", RNG.integers(800, 1400, (20, 24)), **CT)
    mask = np.zeros((20, 24), np.uint8)
    mask[4:16, 5:20] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    example = ("--example", tmp_path / "example.dcm", tmp_path / "mask.png")
    run(tmp_path, backbone, tmp_path / "ct", *example)
    answer = tifffile.imread(tmp_path / "out" / "ct.tif")
    assert answer.shape == (3, 20, 24)
    assert (tmp_path / "out" / "ct_seg.dcm").is_file() == bool(answer.any())
    said = capsys.readouterr()
    assert "shown from -160 to 239 (its window" in said.err
    assert "1 of 1 images segmented" in said.out
