"""Tables of run lengths, as Kaggle's competitions have them: a CSV with a row for each thing.

A cell holds pairs: the number of a pixel, counted from 1 down the columns, and how many follow.
Source: the data pages of "Airbus Ship Detection", "Severstal", and "TGS Salt" on kaggle.com.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.annotations.things import Annotation, Thing
from prompttune.utils.errors import InputError

_IMAGES = ("imageid", "image_id", "id", "img", "image", "image_name", "file_name", "filename")
_RUNS = ("encodedpixels", "encoded_pixels", "rle_mask", "mask_rle", "rle", "encoding")
_CLASSES = ("classid", "class_id", "class", "label", "category", "categoryid", "category_id")
_BOTH = ("imageid_classid", "image_label", "imageid_label", "image_class")
"""Columns of `NAME.jpg_CLASS`."""
_NOTHING = ("", "-1", "nan", "none")
LONGEST = 2**31 - 1
"""Letters of a cell: masks of large images have many, and a C long of Windows holds no more."""
TOLD_BY = 16
"""Images, at most, that tell whether pixels are counted down the columns or along the rows."""
CLEARLY = 0.7
"""Wrongly counted, outlines break into lines: the edges of the right way are fewer than this."""


@dataclass(frozen=True, eq=False)
class PixelRuns:
    """Runs of pixels, counted down the columns or along the rows."""

    starts: np.ndarray
    """The first pixel of each, `R int64`, counted from 0."""
    lengths: np.ndarray
    along_rows: bool = False

    @classmethod
    def of(cls, cell: str, first: int, along_rows: bool) -> "PixelRuns":
        """Read a cell of a table.

        Args:
            cell: numbers with blanks between them.
            first: the number of the first pixel, 0 or 1.
            along_rows: how pixels are counted.

        Raises:
            ValueError: what are no pairs of whole numbers, or runs that overlap or do not rise.
        """
        try:
            numbers = np.array(cell.split(), np.int64)
        except (ValueError, OverflowError):
            raise ValueError("its run lengths are no whole numbers with blanks between") from None
        if not len(numbers) or len(numbers) % 2:
            raise ValueError(f"its run lengths are {len(numbers)} numbers; they must be pairs")
        starts, lengths = numbers[::2] - first, numbers[1::2]
        if (lengths < 1).any() or (starts < 0).any():
            raise ValueError("its run lengths have a run of no pixels, or one before the first")
        if (starts[1:] < (starts + lengths)[:-1]).any():
            raise ValueError(
                "its runs do not follow each other; each must give the number of its first pixel, "
                "not how many pixels lie before it"
            )
        return cls(starts, lengths, along_rows)

    def area(self) -> float:
        """Return the number of covered pixels."""
        return float(self.lengths.sum())

    def paint(self, class_map: np.ndarray, value: int) -> None:
        """Set the pixels of the runs."""
        height, width = class_map.shape
        if self.starts[-1] + self.lengths[-1] > height * width:
            raise ValueError(f"its run lengths reach beyond the image's {width} x {height} pixels")
        steps = np.zeros(height * width + 1, np.int8)
        steps[self.starts] += 1
        steps[self.starts + self.lengths] -= 1
        covered = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
        class_map[covered.reshape(class_map.shape, order="C" if self.along_rows else "F")] = value


@dataclass(frozen=True)
class _Row:
    number: int
    image: str
    name: str
    cell: str


def has_run_lengths(file: Path) -> bool:
    """Say whether a file is a CSV with a column of images and one of run lengths."""
    is_csv = file.suffix.lower() == ".csv" and file.is_file()  # a pipe would be waited for
    return is_csv and _columns(file) is not None


def run_length_table(folder: Path) -> Path | None:
    """Return the only CSV in a folder that has a column of run lengths, but for samples of answers.

    Raises:
        InputError: several.
    """
    files = [
        path
        for path in sorted(folder.glob("*.csv"))
        if "submission" not in path.stem.lower() and has_run_lengths(path)
    ]
    if len(files) > 1:
        names = " and ".join(path.name for path in files[:2])
        raise InputError(f"{folder}: {names} both hold run lengths; keep one of them there")
    return files[0] if files else None


def run_length_annotations(
    file: Path, name: str, find_image: Callable[[str], Path | None]
) -> tuple[list[Annotation], tuple[str, ...]]:
    """Read a table of run lengths.

    Images whose cells are empty show nothing; those that are not there are left out.

    Args:
        file: the table.
        name: of the things, where no column has their class.
        find_image: from an image's name in the table to its path.

    Returns:
        The annotations, and in words how they were understood.

    Raises:
        InputError: a row that names no image.
    """
    by_image: dict[str, list[_Row]] = {}
    for row in _rows(file, name):
        by_image.setdefault(row.image, []).append(row)
    there = {image: path for image in by_image if (path := find_image(image)) is not None}
    filled = {
        image: drawn
        for image in there
        if (drawn := [row for row in by_image[image] if row.cell.lower() not in _NOTHING])
    }
    first = 0 if any(row.cell.split()[0] == "0" for rows in filled.values() for row in rows) else 1
    told_by = [(there[image], rows) for image, rows in filled.items()][:TOLD_BY]
    along_rows = _runs_along_rows(told_by, first)
    annotations = [
        Annotation(
            path, file, None,
            tuple(
                Thing(
                    row.name, f"{file}: line {row.number}",
                    partial(PixelRuns.of, row.cell, first, along_rows),
                )
                for row in filled.get(image, ())
            ),
        )
        for image, path in there.items()
    ]  # fmt: skip
    way = "along the rows" if along_rows else "down the columns, as Kaggle's are"
    notes = [f"{file}: its pixels are counted {way}; look whether masks fit: prompttune inspect"]
    if missing := len(by_image) - len(there):
        notes.append(f"left out: images that {file} names but that are not there: {missing}")
    return annotations, tuple(notes)


def _rows(file: Path, name: str) -> Iterable[_Row]:
    columns = _columns(file)
    assert columns is not None  # `has_run_lengths` has seen them
    image, runs, kind, both = columns
    csv.field_size_limit(LONGEST)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            if number == 1 or not row:
                continue
            row += [""] * (max(image, runs, kind or 0) + 1 - len(row))
            called, own = row[image].strip(), row[kind].strip() if kind is not None else name
            if both:
                called, _, own = called.rpartition("_")
            if not called or not own:
                raise InputError(f"{file}: line {number} names no image, or no class")
            yield _Row(number, called, own, row[runs].strip())


def _columns(file: Path) -> tuple[int, int, int | None, bool] | None:
    """Return where a table has images, run lengths and classes, and whether the first has both."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            head = [name.strip().lower().replace(" ", "_") for name in next(csv.reader(lines), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None

    def column(names: Sequence[str]) -> int | None:
        return next((head.index(name) for name in names if name in head), None)

    both, image, runs = column(_BOTH), column(_IMAGES), column(_RUNS)
    if runs is None or (image is None and both is None):
        return None
    if both is not None:
        return both, runs, None, True
    assert image is not None
    return image, runs, column(_CLASSES), False


def _runs_along_rows(images: Sequence[tuple[Path, list[_Row]]], first: int) -> bool:
    """Say whether masks have far fewer edges if their pixels are counted along the rows.

    Of a square image both are equal, one mask being the other turned over its diagonal.
    """
    edges = np.zeros(2)
    for path, rows in images:
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, Image.DecompressionBombError):  # what only other readers can open
            continue
        if width == height:
            continue
        for row in rows:
            try:
                edges += [_edges(row.cell, first, each, (height, width)) for each in (False, True)]
            except ValueError:  # told where it is painted
                continue
    return bool(edges[1] < CLEARLY * edges[0])


def _edges(cell: str, first: int, along_rows: bool, shape: tuple[int, int]) -> int:
    mask = np.zeros(shape, np.uint8)
    PixelRuns.of(cell, first, along_rows).paint(mask, 1)
    return int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())
