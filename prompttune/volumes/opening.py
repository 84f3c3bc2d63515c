"""From a path to the volume that it names, if it names one; the last few stay open."""

from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from threading import Lock

import numpy as np

from prompttune.utils.image_files import is_dicom, is_nifti
from prompttune.volumes.dicom import DicomVolume
from prompttune.volumes.nifti import NiftiVolume
from prompttune.volumes.series import Series, find_series, gathered
from prompttune.volumes.volume import Volume

_KEPT = 3
_MEASURED = 16
_SAMPLED = 200_000
_named: dict[Path, Series] = {}
_open: OrderedDict[tuple[Path, int], Volume] = OrderedDict()
_lock = Lock()


def is_volume(path: Path) -> bool:
    """Say whether a path names a volume: a NIfTI or DICOM file, or a DICOM series."""
    return (
        path in _named or is_nifti(path) or (path.is_file() and is_dicom(path)) or _is_series(path)
    )


def _is_series(path: Path) -> bool:
    """Say whether a path is a folder that holds one DICOM series and nothing else."""
    if not path.is_dir():
        return False
    first = next((each for each in sorted(path.iterdir()) if each.is_file()), None)
    if first is None or not is_dicom(first):
        return False
    found, _ = find_series(path)
    if len(found) == 1 and found[0].path == path:
        _named[path] = found[0]
        return True
    return False


def with_series(
    images: list[Path], named: Collection[Path] = (), passed: list[Path] | None = None
) -> list[Path]:
    """Replace slices of DICOM series by what stands for their series, which `volume_of` opens.

    Args:
        images: files of any kind.
        named: those that stay, whatever they are.
        passed: gets the DICOM files that were left out since they show nothing by themselves.
    """
    if not any(map(is_dicom, images)):
        return images
    found, series, left_out = gathered(images, named)
    _named.update({one.path: one for one in series})
    if passed is not None:
        passed += left_out
    return found


def files_of_volume(path: Path) -> tuple[Path, ...]:
    """Return the files that a path stands for: those of a series, or the path alone."""
    return _named[path].files if path in _named else (path,)


def window_of(volume: Volume) -> tuple[tuple[float, float], str] | None:
    """Return what is shown as black and white in all slices of a volume, and what that is.

    None for 8 bits, which need none.
    """
    facts = volume.facts
    if facts.dtype in (np.uint8, np.bool_):
        return None
    if facts.window is not None:
        return facts.window, "its window"
    pages = range(0, facts.pages, max(1, facts.pages // _MEASURED))
    numbers = np.concatenate([volume.numbers(page).ravel() for page in pages])
    some = numbers[:: max(1, numbers.size // _SAMPLED)]
    some = some[np.isfinite(some) & (some != (0 if facts.nodata is None else facts.nodata))]
    if some.size == 0:
        return None
    low, high = (float(each) for each in np.percentile(some, (1, 99)))
    return ((low, high), "its percentiles 1 and 99") if low < high else None


def pixel_size(path: Path) -> tuple[float, float] | None:
    """Return the width and height of a pixel of a volume, millimeters; None of other files."""
    volume = volume_of(path)
    if volume is None or volume.facts.affine is None:
        return None
    width, height = np.linalg.norm(volume.facts.affine[:3, :2], axis=0)
    return float(width), float(height)


def volume_of(path: Path) -> Volume | None:
    """Open what a path names; None where it is no volume.

    Raises:
        InputError: a volume that cannot be read, or whose package is not installed.
    """
    if not is_volume(path):
        return None
    files = files_of_volume(path)
    key = path, files[0].stat().st_mtime_ns if files[0].exists() else 0
    with _lock:
        if key in _open:
            _open.move_to_end(key)
            return _open[key]
    made: Volume
    made = NiftiVolume(path) if is_nifti(path) else DicomVolume(files)
    with _lock:
        _open[key] = made
        while len(_open) > _KEPT:
            _open.popitem(last=False)
    return made
