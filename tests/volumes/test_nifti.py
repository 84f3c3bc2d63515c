"""NIfTI volumes are shown upright, and written back on their own grid."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from prompttune.data.layouts import find_split
from prompttune.data.reading import ImageOptions, read_image, read_mask
from prompttune.tasks.data import task_data
from prompttune.utils.errors import InputError, forget_warnings
from prompttune.volumes.nifti import NiftiVolume, NiftiWriter
from prompttune.volumes.opening import volume_of

SHAPE = (6, 8, 5)  # to the right, to the front, upwards
RAS = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
SPACING = np.diag((0.5, 0.75, 1.0, 1.0))


def stored(codes: str, path: Path, voxels: np.ndarray = RAS) -> nibabel.Nifti1Image:
    """Write the same body with its axes in another order and direction."""
    image = nibabel.Nifti1Image(voxels, SPACING)
    own = nibabel.orientations.io_orientation(SPACING)
    wanted = nibabel.orientations.axcodes2ornt(tuple(codes))
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(own, wanted))
    nibabel.save(turned, path)
    return turned


ORIENTATIONS = [
    "".join(each)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for each in itertools.product(*order)
]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_all_48_orientations_look_alike_and_come_back(tmp_path: Path, codes: str) -> None:
    path = tmp_path / "a.nii.gz"
    source = stored(codes, path)
    volume = NiftiVolume(path)
    # Axial slices from the feet up; rows run to the back, columns to the left.
    expected = RAS[::-1, ::-1].transpose(2, 1, 0)
    shown = np.stack([volume.numbers(page) for page in range(volume.facts.pages)])
    np.testing.assert_array_equal(shown, expected)
    writer = NiftiWriter(tmp_path / "mask.nii.gz", path)
    for page in shown:
        writer.add((page > 300).astype(np.uint8))
    writer.finish()
    back = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), np.asanyarray(source.dataobj) > 300)
    np.testing.assert_array_equal(back.affine, source.affine)
    assert aff2axcodes(back.affine) == tuple(codes)
    assert back.get_data_dtype() == np.uint8
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.nii.gz", "mask.nii.gz"]


def test_thick_slices_are_the_slices(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(RAS, np.diag((4.0, 1.0, 1.0, 1.0))), tmp_path / "a.nii")
    volume = NiftiVolume(tmp_path / "a.nii")
    assert (volume.view, volume.facts.pages, volume.facts.size) == ("sagittal", 6, (8, 5))
    # From right to left; rows run to the feet, columns to the back.
    np.testing.assert_array_equal(volume.numbers(0), RAS[-1, ::-1, ::-1].T)


def test_one_range_for_all_slices(tmp_path: Path, caplog) -> None:
    forget_warnings()
    path = tmp_path / "a.nii.gz"
    stored("RAS", path)
    low, high = np.percentile(RAS[RAS != 0], (1, 99))
    volume = volume_of(path)
    assert volume is not None
    for page in range(5):
        expected = ((volume.numbers(page) - low) * 255 / (high - low)).round().clip(0, 255)
        pixels = read_image(path, page=page)[:, :, 0]
        assert np.abs(pixels - expected).max() <= 1
    assert "--stretch LOW,HIGH sets it" in caplog.text
    given = read_image(path, ImageOptions.of(None, "-200,400"), 2)[:, :, 1]
    assert (
        np.abs(given - ((volume.numbers(2).astype(float) + 200) * 255 / 600).clip(0, 255)).max()
        <= 1
    )


def test_scaled_numbers_and_bands(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(RAS, SPACING)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "scaled.nii")
    volume = NiftiVolume(tmp_path / "scaled.nii")
    expected = nibabel.load(tmp_path / "scaled.nii").get_fdata()
    np.testing.assert_allclose(volume.numbers(0), expected[::-1, ::-1, 0].T, atol=0.5)
    nibabel.save(nibabel.Nifti1Image(np.stack([RAS, -RAS], 3), SPACING), tmp_path / "two.nii")
    two = NiftiVolume(tmp_path / "two.nii")
    assert two.facts.bands == 2
    np.testing.assert_array_equal(two.numbers(1)[:, :, 1], -two.numbers(1)[:, :, 0])
    many = np.zeros((3, 3, 3, 40), np.int16)
    nibabel.save(nibabel.Nifti1Image(many, SPACING), tmp_path / "time.nii")
    with pytest.raises(InputError, match="each time point"):
        NiftiVolume(tmp_path / "time.nii")


def labeled(folder: Path, images: str = "imagesTr", masks: str = "labelsTr") -> None:
    """Write volumes as nnU-Net lays them."""
    for part in (images, masks):
        (folder / part).mkdir(parents=True)
    for n in range(4):
        stored("LPS", folder / images / f"case_{n:03}_0000.nii.gz", RAS + np.int16(n))
        stored("LPS", folder / masks / f"case_{n:03}.nii.gz", (RAS > 300).astype(np.uint8))


def test_nnunets_folders(tmp_path: Path) -> None:
    labeled(tmp_path)
    data = task_data_of(tmp_path)
    samples = [each for part in (data.train, data.val, data.test) for each in part]
    assert len(samples) == 20
    stacks = [{each.name.split("#")[0] for each in part} for part in (data.train, data.val)]
    assert not stacks[0] & stacks[1]
    first = next(each for each in samples if each.name.endswith("#1"))
    np.testing.assert_array_equal(first.class_map, (RAS[::-1, ::-1, 0] > 300).T)


def task_data_of(folder: Path):
    from prompttune.tasks.recipe import Recipe

    return task_data(Recipe("custom", classes=("organ",)), folder)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    labeled(tmp_path)
    path = tmp_path / "labelsTr" / "case_001.nii.gz"
    voxels = np.asanyarray(nibabel.load(path).dataobj)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    with pytest.raises(InputError, match="lies elsewhere in the patient"):
        find_split(tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no volume")
    with pytest.raises(InputError, match=r"a\.nii\.gz: is no NIfTI volume"):
        read_image(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "b.nii", 1)
