"""DICOM: rescale, window, inversion, compression, the order of a series, and SEG out."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicoms import write_dicom
from pydicom.pixels.processing import apply_rescale, apply_windowing
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from prompttune.data.layouts import find_split
from prompttune.data.reading import read_image
from prompttune.outputs.paths import find_images
from prompttune.utils.errors import InputError, forget_warnings
from prompttune.volumes.opening import files_of_volume, volume_of
from prompttune.volumes.segmentation import SegWriter

STORED = np.random.default_rng(0).integers(0, 4096, (12, 16)).astype(np.uint16)
CT = {
    "RescaleSlope": 1,
    "RescaleIntercept": -1024,
    "WindowCenter": [40, 600],
    "WindowWidth": [400, 9],
}


def shown(path: Path, page: int = 0) -> np.ndarray:
    return read_image(path, page=page)[:, :, 0].astype(float)


def windowed(path: Path) -> np.ndarray:
    """Return what pydicom itself shows, in 0..255."""
    dataset = pydicom.dcmread(path)
    pixels = apply_windowing(apply_rescale(dataset.pixel_array, dataset), dataset)
    low, high = -1024.0, 3071.0  # pydicom spreads a window over the whole range of the numbers
    pixels = (pixels - low) / (high - low) * 255
    turned = dataset.PhotometricInterpretation == "MONOCHROME1"
    return 255 - pixels if turned else pixels


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_window_rescale_and_inversion_are_pydicoms(tmp_path: Path, kind: str) -> None:
    write_dicom(tmp_path / "a.dcm", STORED, PhotometricInterpretation=kind, **CT)
    assert np.abs(shown(tmp_path / "a.dcm") - windowed(tmp_path / "a.dcm")).max() <= 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_syntaxes(tmp_path: Path, syntax: str) -> None:
    write_dicom(tmp_path / "plain.dcm", np.tile(STORED, (6, 6)), **CT)
    dataset = pydicom.dcmread(tmp_path / "plain.dcm")
    dataset.compress(syntax)
    dataset.save_as(tmp_path / "packed.dcm")
    np.testing.assert_array_equal(shown(tmp_path / "packed.dcm"), shown(tmp_path / "plain.dcm"))


def test_without_a_window_and_without_an_ending(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM0001", STORED)
    (tmp_path / "README").write_text("no image " * 40)
    assert find_images([tmp_path]) == [tmp_path / "IM0001"]
    low, high = np.percentile(STORED[STORED != 0], (1, 99))
    expected = ((STORED - low) * 255 / (high - low)).round().clip(0, 255)
    assert np.abs(shown(tmp_path / "IM0001") - expected).max() <= 1


def test_frames_are_pages(tmp_path: Path) -> None:
    frames = np.stack([STORED, STORED[::-1], STORED // 2])
    write_dicom(tmp_path / "a.dcm", STORED, NumberOfFrames=3, PixelData=frames.tobytes())
    volume = volume_of(tmp_path / "a.dcm")
    assert volume is not None
    assert volume.facts.pages == 3
    np.testing.assert_array_equal(volume.numbers(1), STORED[::-1])


def series(folder: Path, order: tuple[int, ...] = (3, 0, 4, 1, 2)) -> list[np.ndarray]:
    """Write slices whose names tell nothing of their places; return them from the feet up."""
    slices = [np.roll(STORED, n, 0) for n in range(len(order))]
    for name, place in enumerate(order):
        write_dicom(folder / f"I{name}", slices[place], place, **CT)
    return slices


def test_a_series_is_a_volume_in_the_order_of_its_places(tmp_path: Path) -> None:
    slices = series(tmp_path / "ct")
    (found,) = find_images([tmp_path])
    assert found == tmp_path / "ct"
    volume = volume_of(found)
    assert volume is not None
    assert len(files_of_volume(found)) == volume.facts.pages == 5
    for page, expected in enumerate(slices):
        np.testing.assert_array_equal(volume.numbers(page), expected.astype(int) - 1024)
    expected = np.diag((0.75, 0.5, 2.0, 1.0))
    expected[:3, 3] = (-10, -20, 0)
    np.testing.assert_allclose(volume.facts.affine, expected)
    assert volume.facts.voxel_volume == pytest.approx(0.75)


def test_a_missing_slice_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    for name in ("whole", "ct"):
        series(tmp_path / name)
    (tmp_path / "ct" / "I3").unlink()  # place 1
    find_images([tmp_path / "whole"])
    assert "apart" not in caplog.text
    find_images([tmp_path / "ct"])
    assert "ct: I1 and I4 lie 4 mm apart, other slices 2 mm; slices may be missing" in caplog.text


def test_files_without_an_image_are_passed_over(tmp_path: Path) -> None:
    slices = series(tmp_path / "ct")
    for name in ("RS1.dcm", "DICOMDIR"):
        write_dicom(tmp_path / "ct" / name, slices[0], **CT)
        report = pydicom.dcmread(tmp_path / "ct" / name)
        for tag in ("Rows", "Columns", "PixelData"):
            delattr(report, tag)
        report.save_as(tmp_path / "ct" / name)
    passed: list[Path] = []
    assert find_images([tmp_path], passed=passed) == [tmp_path / "ct"]
    assert passed == [tmp_path / "ct" / "RS1.dcm"]
    assert find_images([passed[0]]) == passed  # what was named is said to be none when it is read
    for each in files_of_volume(tmp_path / "ct"):
        each.unlink()
    with pytest.raises(InputError, match="no images in this folder, only DICOM files"):
        find_images([tmp_path])


def test_seg_out(tmp_path: Path) -> None:
    series(tmp_path / "ct")
    files = files_of_volume(find_images([tmp_path])[0])
    maps = np.zeros((5, 12, 16), np.uint8)
    maps[1, 2:6, 3:9], maps[3, 7:9, 1:15] = 1, 2
    writer = SegWriter(tmp_path / "seg.dcm", files, ["liver", "vessel"])
    for page in maps:
        writer.add(page)
    writer.finish()
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [each.SegmentLabel for each in seg.SegmentSequence] == ["liver", "vessel"]
    by_uid = {str(pydicom.dcmread(path).SOPInstanceUID): n for n, path in enumerate(files)}
    back = np.zeros_like(maps)
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        back[by_uid[source.ReferencedSOPInstanceUID]][frame > 0] = number
    np.testing.assert_array_equal(back, maps)


def test_patients_stay_together(tmp_path: Path) -> None:
    from PIL import Image

    for patient in range(4):
        for n in range(3):
            name = f"{patient}{n}"
            write_dicom(tmp_path / f"images/{name}.dcm", STORED, PatientID=f"p{patient}", **CT)
            (tmp_path / "masks").mkdir(exist_ok=True)
            Image.fromarray((STORED > 2000).astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    split = find_split(tmp_path)
    parts = [{each.name[0] for each in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, parts)) == 4


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"a\.dcm: is no DICOM image"):
        read_image(tmp_path / "a.dcm")
    write_dicom(tmp_path / "b.dcm", STORED)
    content = (tmp_path / "b.dcm").read_bytes()
    (tmp_path / "b.dcm").write_bytes(content[:-200])
    with pytest.raises(InputError, match=r"b\.dcm"):
        read_image(tmp_path / "b.dcm")
