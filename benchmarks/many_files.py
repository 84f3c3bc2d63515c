"""A CT of 500 slices beside pydicom's bare read, and a folder of 10,000 images with masks.

    OMP_NUM_THREADS=1 python -m benchmarks.many_files

Both are generated. Times are processor seconds, so that a machine that others use changes them
little. Of the CT every slice is read as a picture, in order; of the folder everything is found,
understood, split and described, which is what `prompttune inspect` does and `tune` begins with; the
bare read beside it decodes every mask once and opens every image's header with Pillow.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from prompttune.data.reading import read_picture
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe
from prompttune.volumes.opening import volume_of, with_series

SIDE = 512


def peak() -> float:
    """Return the most memory that this process has had, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write_ct(folder: Path, slices: int) -> None:
    """Write a series of slices of 512 x 512, 16 bits, 1 mm apart."""
    rng = np.random.default_rng(0)
    series, study, place = generate_uid(), generate_uid(), generate_uid()
    for number in range(slices):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        each = pydicom.Dataset()
        each.file_meta = meta
        each.SOPClassUID, each.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        each.SeriesInstanceUID, each.StudyInstanceUID = series, study
        each.FrameOfReferenceUID, each.PatientID, each.Modality = place, "1", "CT"
        each.Rows = each.Columns = SIDE
        each.BitsAllocated = each.BitsStored = 16
        each.HighBit, each.PixelRepresentation, each.SamplesPerPixel = 15, 0, 1
        each.PhotometricInterpretation = "MONOCHROME2"
        each.RescaleSlope, each.RescaleIntercept = 1, -1024
        each.WindowCenter, each.WindowWidth = 40, 400
        each.ImagePositionPatient, each.PixelSpacing = [0, 0, float(number)], [0.7, 0.7]
        each.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        each.InstanceNumber = slices - number
        each.PixelData = rng.integers(900, 1300, (SIDE, SIDE), np.uint16).tobytes()
        each.save_as(folder / f"IM{number:04}.dcm", enforce_file_format=True)


def measure_ct(folder: Path, slices: int) -> str:
    """Read a CT as pictures, and with pydicom alone."""
    write_ct(folder, slices)
    files = sorted(folder.iterdir())
    began = time.process_time()
    for file in files:
        read = pydicom.dcmread(file).pixel_array
    bare = time.process_time() - began
    assert read.shape == (SIDE, SIDE)
    before, began = peak(), time.process_time()
    (series,) = with_series(files)
    volume = volume_of(series)
    assert volume is not None
    assert volume.facts.pages == slices
    for page in range(slices):
        read_picture(series, page=page)
    ours = time.process_time() - began
    return (
        f"CT of {slices} slices: {ours:.1f} s, pydicom alone {bare:.1f} s; peak memory "
        f"{peak():.2f} GiB ({before:.2f} before)"
    )


def measure_folder(folder: Path, count: int) -> str:
    """Find and describe a folder of so many images and masks."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        mask = np.zeros((256, 256), np.uint8)
        top, left = rng.integers(0, 200, 2)
        mask[top : top + 40, left : left + 40] = 255
        image = np.repeat((mask // 3 + 60)[:, :, None], 3, 2)
        Image.fromarray(image).save(folder / "images" / f"{number}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    began = time.process_time()
    for number in range(count):
        with Image.open(folder / "images" / f"{number}.jpg") as image_file:
            assert image_file.size == (256, 256)
        np.asarray(Image.open(folder / "masks" / f"{number}.png"))
    bare = time.process_time() - began
    before, began = peak(), time.process_time()
    data = task_data(Recipe("custom", classes=("a",)), folder)
    ours = time.process_time() - began
    assert len(data.train) + len(data.val) + len(data.test) == count
    return (
        f"folder of {count} images and masks: {ours:.1f} s, opening alone {bare:.1f} s; peak "
        f"memory {peak():.2f} GiB ({before:.2f} before)"
    )


def main() -> None:
    """Measure, and print two lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(measure_ct(Path(folder), options.slices))
    with tempfile.TemporaryDirectory() as folder:
        print(measure_folder(Path(folder), options.images))


if __name__ == "__main__":
    main()
