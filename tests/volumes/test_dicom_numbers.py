"""DICOM numbers of every depth, sign, table and window are shown as they were meant."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicoms import write_dicom
from pydicom.dataset import Dataset

from prompttune.data.mask_forms import read_stored
from prompttune.data.reading import read_image
from prompttune.utils.errors import InputError
from prompttune.volumes.opening import volume_of

RAMP = np.repeat(np.arange(256, dtype=np.int64)[None], 4, 0)
"""What is shown of every file here, unless it says otherwise."""


def written(path: Path, numbers: np.ndarray, kind: str, **tags: object) -> Path:
    bits = 8 * np.dtype(kind).itemsize
    pixels = {"PixelData": numbers.astype(kind).tobytes(), "BitsAllocated": bits}
    signed = {"PixelRepresentation": int(kind[0] == "i")}
    shape = {"BitsStored": bits, "HighBit": bits - 1}
    write_dicom(path, np.zeros(numbers.shape), **(pixels | signed | shape | tags))
    return path


def far(path: Path, expected: np.ndarray = RAMP) -> int:
    return int(np.abs(read_image(path)[:, :, 0].astype(int) - expected).max())


def table(content: np.ndarray, bits: int, first: int = 0) -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(content), first, bits]
    item.LUTData = content.astype("u1" if bits == 8 else "<u2").tobytes()
    item.ModalityLUTType = "US"
    return [item]


@pytest.mark.parametrize(
    ("numbers", "kind", "tags"),
    [
        (RAMP // 3, "u1", {"WindowCenter": 43, "WindowWidth": 86}),
        (RAMP - 128, "i1", {"WindowCenter": 0, "WindowWidth": 256}),
        (RAMP * 100_000, "u4", {}),
        ((RAMP - 128) * 100_000, "i4", {}),
        (RAMP * 16 << 4, "u2", {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}),
        (RAMP * 16, "u2", {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}),
        (4095 - RAMP, "u2", {"BitsStored": 12, "HighBit": 11, "WindowCenter": 128,
         "WindowWidth": 256, "ModalityLUTSequence": table(np.arange(4095, -1, -1), 16)}),
        (RAMP + 300, "u2", {"VOILUTSequence": table(np.arange(256), 8, 300)}),
        (RAMP * 2, "u2", {"RescaleSlope": 1, "RescaleIntercept": -300,
         "VOILUTSequence": table(np.arange(1024) // 2 * 257, 16, 65536 - 300)}),
    ],
    ids=["a window of 8 bits", "8 bits with a sign", "32 bits", "32 bits with a sign",
         "12 upper bits", "a wrong upper bit", "a table of meaning", "a table of 8 bits",
         "a table after rescaling"],
)  # fmt: skip
def test_numbers_are_shown(
    tmp_path: Path, numbers: np.ndarray, kind: str, tags: dict[str, object]
) -> None:
    assert far(written(tmp_path / "a.dcm", numbers, kind, **tags)) <= 6


def test_float_pixels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", RAMP, "u4")
    dataset = pydicom.dcmread(path)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.FloatPixelData = (RAMP / 1000).astype("f4").tobytes()
    dataset.save_as(path)
    assert far(path) <= 6


def test_padding_may_be_a_range(tmp_path: Path) -> None:
    numbers = RAMP * 4
    numbers[:, :40] = np.arange(40) - 2000
    tags = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1900}
    volume = volume_of(written(tmp_path / "a.dcm", numbers, "i2", **tags))
    assert volume is not None
    read = volume.numbers(0)
    assert (read[:, :40] == volume.facts.nodata).all()
    np.testing.assert_array_equal(read[:, 40:], numbers[:, 40:])


def test_colors_called_deeper_than_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", RAMP, "u1")
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for name in ("Red", "Green", "Blue"):
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        content = np.arange(256, dtype="<u2").tobytes()
        setattr(dataset, f"{name}PaletteColorLookupTableData", content)
    dataset.save_as(path)
    assert far(path) == 0


def of_frame(slope: float, place: float) -> Dataset:
    groups, meaning, plane = Dataset(), Dataset(), Dataset()
    meaning.RescaleSlope, meaning.RescaleIntercept = slope, 0
    plane.ImagePositionPatient = [0, 0, place]
    groups.PixelValueTransformationSequence = [meaning]
    groups.PlanePositionSequence = [plane]
    return groups


def test_frames_have_their_own_rescale_and_place(tmp_path: Path) -> None:
    shared, plane = Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [plane]
    path = written(
        tmp_path / "a.dcm", RAMP, "u2", NumberOfFrames=2,
        PixelData=np.stack([RAMP, RAMP]).astype("u2").tobytes(),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[of_frame(1, 7), of_frame(2.5, 4)],
    )  # fmt: skip
    volume = volume_of(path)
    assert volume is not None
    np.testing.assert_array_equal(volume.numbers(0), RAMP)
    np.testing.assert_array_equal(volume.numbers(1), RAMP * 2.5)
    assert volume.facts.affine is not None
    np.testing.assert_array_equal(volume.facts.affine[:3, 2:], [[0, 0], [0, 0], [-3, 7]])


def seg(path: Path, segments: int) -> Path:
    bits = np.packbits(np.tile(RAMP > 99, (segments, 1)), bitorder="little").tobytes()
    return written(
        path, RAMP, "u1", BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bits,
        SOPClassUID=pydicom.uid.SegmentationStorage, NumberOfFrames=segments,
        SegmentSequence=[Dataset() for _ in range(segments)],
    )  # fmt: skip


def test_seg_of_one_segment_is_a_mask(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_stored(seg(tmp_path / "a.dcm", 1)).values, RAMP > 99)
    with pytest.raises(InputError, match="a DICOM SEG of 2 segments"):
        read_stored(seg(tmp_path / "b.dcm", 2))
