"""Which DICOM files of a folder are the slices of one series, and in which order."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.utils.errors import InputError, warn
from prompttune.utils.image_files import is_dicom, is_hidden
from prompttune.utils.malformed import understood
from prompttune.volumes.dicom import SEGMENTATIONS, read_dataset

_MIN_FILES = 2
GAP = 1.5
"""Times the usual distance of two slices: what lies farther apart has lost a slice between."""


@dataclass(frozen=True)
class Series:
    """Slices of one size and direction, from the feet upwards, or along their normal."""

    path: Path
    """What stands for the series: its folder, or a name in it that is no file."""
    files: tuple[Path, ...]


def find_series(folder: Path) -> tuple[list[Series], list[Path]]:
    """List the series of a folder's own DICOM files that have two slices or more.

    A folder that holds no other image stands for its only series; of several each is called by its
    number and description.

    Returns:
        The series, and files that show nothing by themselves: structures, reports, segmentations.
    """
    grouped: dict[tuple, list[tuple[float, Path]]] = defaultdict(list)
    called: dict[tuple, str] = {}
    others, without = 0, []
    for path in sorted(each for each in folder.iterdir() if each.is_file() and not is_hidden(each)):
        head = _head(path) if is_dicom(path) else None
        if head is not None and not _is_image(head):
            without.append(path)
            continue
        one = None if head is None else _slice(path, head)
        if one is None:
            others += 1
            continue
        key, height, name = one
        grouped[key].append((height, path))
        called[key] = name
    whole = [key for key, own in grouped.items() if len(own) >= _MIN_FILES and _apart(own)]
    alone = len(grouped) == 1 and not others
    found: list[Series] = []
    for number, key in enumerate(whole, 1):
        files = tuple(path for _, path in sorted(grouped[key]))
        taken = {Path(called[other]).name for other in whole[: number - 1]}
        name = called[key] if called[key] not in taken else f"{called[key]}-{number}"
        found.append(Series(folder if alone else folder / name, files))
        _tell_gap(found[-1].path, sorted(grouped[key]))
    return found, without


def _tell_gap(series: Path, slices: Sequence[tuple[float, Path]]) -> None:
    """Warn of slices that lie farther apart than the others: volumes have them evenly spaced."""
    steps = np.diff([height for height, _ in slices])
    usual, widest = float(np.median(steps)), int(steps.argmax())
    if steps[widest] < GAP * usual:
        return
    below, above = (slices[widest + each][1].name for each in (0, 1))
    warn(
        f"{series}: {below} and {above} lie {steps[widest]:.4g} mm apart, other slices {usual:.4g} "
        "mm; slices may be missing, and a NIfTI file places all evenly",
        once=f"{series} has a gap",
    )


def _head(path: Path) -> Any:
    """Read a file without its pixels; None where that cannot be."""
    try:
        return read_dataset(path, pixels=False)
    except InputError:
        return None


def _is_image(head: Any) -> bool:
    return "Rows" in head and head.get("SOPClassUID") not in SEGMENTATIONS


def _slice(path: Path, head: Any) -> tuple[tuple, float, str] | None:
    """Return what all slices of its series share, where a slice lies, and the series' name."""
    try:
        with understood(path, "slice", (Exception,)):
            return _placed(head)
    except InputError:
        return None


def _placed(head: Any) -> tuple[tuple, float, str] | None:
    cosines, position = head.get("ImageOrientationPatient"), head.get("ImagePositionPatient")
    frames = int(head.get("NumberOfFrames", 1) or 1)
    if not cosines or not position or frames > 1:
        return None
    normal = np.cross(*np.array(cosines, float).reshape(2, 3))
    # Slices run towards the head, the back or the left, whichever they do most.
    main = int(np.abs(normal).argmax())
    upwards = normal * np.sign(normal[main] or 1)
    height = float(upwards @ np.array(position, float))
    rounded = tuple(np.round(np.array(cosines, float), 3).tolist())
    key = (str(head.get("SeriesInstanceUID")), int(head.Rows), int(head.Columns), rounded)
    return key, height, _name(head)


def _name(head: Any) -> str:
    words = (head.get("SeriesNumber"), head.get("SeriesDescription"))
    text = " ".join(str(word) for word in words if word not in (None, ""))
    return "".join(c if c.isalnum() or c in "-." else "_" for c in text) or "series"


def _apart(slices: Sequence[tuple[float, Path]]) -> bool:
    """Say whether all slices lie at different places, so that they make one volume."""
    heights = sorted(height for height, _ in slices)
    return bool((np.diff(heights) > 1e-4).all())


def gathered(
    images: Iterable[Path], named: Collection[Path] = ()
) -> tuple[list[Path], list[Series], list[Path]]:
    """Replace the slices of series among files by their series.

    Args:
        images: files of any kind; slices of one folder lie together.
        named: those that stay, whatever they are.

    Returns:
        The files and, at the place of its first slice, what stands for each series; the series; and
        the files that were left out since they show nothing by themselves.
    """
    known: dict[Path, Series] = {}
    looked: set[Path] = set()
    series: list[Series] = []
    left_out: list[Path] = []
    listed = list(images)
    there = set(listed)
    for path in listed:
        if path.parent in looked or not (path.is_file() and is_dicom(path)):
            continue
        looked.add(path.parent)
        in_folder, without = find_series(path.parent)
        left_out += (each for each in without if each in there and each not in named)
        for one in in_folder:
            if set(one.files) <= there:
                series.append(one)
                known |= dict.fromkeys(one.files, one)
    found = dict.fromkeys(known[path].path if path in known else path for path in listed)
    return [path for path in found if path not in set(left_out)], series, left_out
