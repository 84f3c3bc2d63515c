"""Folders of images with annotations in place of masks, read whole or part by part."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prompttune.data.annotations.finding import (
    Annotated,
    find_annotated,
    find_coco_parts,
    read_run_lengths,
    read_yolo,
)
from prompttune.data.annotations.run_lengths import has_run_lengths, run_length_table
from prompttune.data.annotations.things import Annotation, Painting, class_numbers
from prompttune.data.annotations.yolo import has_yolo
from prompttune.data.class_names import UNNAMED
from prompttune.data.finding import Finding, Found
from prompttune.data.mask_folders import MASK_FOLDERS, PARTS, VAL_FOLDERS, holds_masks, part_of
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES


def annotated_parts(
    parts: Sequence[Path], classes: Sequence[str], finding: Finding
) -> tuple[list[tuple[Sample, ...]], Annotated] | None:
    """Return the samples of annotated parts and the first one's annotations; None where masks lie.

    The first part alone must show every class.
    """
    if holds_masks(parts[0]):
        return None
    found = [
        find_annotated(part, SUFFIXES, finding.crowds) if part.is_dir() else None for part in parts
    ]
    if found[0] is None:
        return None
    for part, annotated in zip(parts, found, strict=True):
        if annotated is None:
            raise InputError(f"{part}: has no annotations, but {parts[0].name}/ beside it has")
    whole = [each for each in found if each is not None]
    return _painted_parts(whole, classes, parts[0])


def coco_parts(folder: Path, classes: Sequence[str], finding: Finding) -> Found | None:
    """Read `annotations/instances_train2017.json` beside `train2017/`, and CVAT's export."""
    parts = find_coco_parts(folder, SUFFIXES, finding.crowds)
    if not parts:
        return None
    lead = next(part for part in ("train", "all", "val", "test") if part in parts)
    order = [lead, *(part for part in parts if part != lead)]
    flat = [annotated for part in order for annotated in parts[part]]
    samples, first = _painted_parts(flat, classes, folder)
    by_part: dict[str, list[Sample]] = {}
    for part, own in zip((p for p in order for _ in parts[p]), samples, strict=True):
        by_part.setdefault(part, []).extend(own)
    train = by_part.pop(lead) + by_part.pop("all", [])
    return Found(
        train, f"annotations/ with {first.kind}", by_part.get("test"), by_part.get("val"),
        category_ids=first.category_ids, classes=first.classes, notes=first.notes,
    )  # fmt: skip


def yolo_parts(folder: Path, classes: Sequence[str]) -> Found | None:
    """Read `images/train/` with `labels/train/`, and `val/` and `test/` likewise."""
    images, labels = folder / "images", folder / "labels"
    if not has_yolo(labels / "train"):
        return None
    names = {"train": ("train",), "val": VAL_FOLDERS, "test": ("test",)}
    read = {}
    for part, called in names.items():
        own = part_of(images, called)
        if own is not None and has_yolo(labels / own.name):
            read[part] = read_yolo(own, labels / own.name, SUFFIXES)
    samples, first = _painted_parts(list(read.values()), classes, folder)
    by_part = dict(zip(read, samples, strict=True))
    return Found(
        by_part["train"], f"images/ and labels/ with {first.kind}", by_part.get("test"),
        by_part.get("val"), classes=first.classes, notes=first.notes,
    )  # fmt: skip


def table_of_run_lengths(folder: Path) -> Path | None:
    """Return a folder's table of run lengths; None where masks lie as well, which say the same."""
    if not any(map(has_run_lengths, folder.glob("*.csv"))):
        return None
    below = (path.name.lower() for pattern in ("*/", "*/*/") for path in folder.glob(pattern))
    masks = {name.lower() for name in MASK_FOLDERS} & set(below)
    return None if masks else run_length_table(folder)


def samples_by_run_lengths(table: Path, classes: Sequence[str]) -> Found:
    """Read a table of run lengths, as Kaggle has them, of images in any folders beside it."""
    annotated = read_run_lengths(table, classes[0], SUFFIXES)
    (samples,), drawn = _painted_parts([annotated], classes, table.parent)
    return Found(samples, f"{drawn.kind}, split by seed", classes=drawn.classes, notes=drawn.notes)


def annotated_names(folder: Path) -> tuple[str, ...]:
    """Return the names of all that is annotated in a folder, sorted; empty where masks lie.

    Raises:
        InputError: as `find_samples`.
    """
    found = [each for part in find_coco_parts(folder, SUFFIXES).values() for each in part]
    if table := table_of_run_lengths(folder):
        found = [read_run_lengths(table, UNNAMED[0], SUFFIXES)]
    if has_yolo(folder / "labels" / "train"):
        found = [read_yolo(folder / "images" / "train", folder / "labels" / "train", SUFFIXES)]
    part = part_of(folder, PARTS["train"]) or folder
    if not found and not holds_masks(part):
        found = [each for each in (find_annotated(part, SUFFIXES),) if each is not None]
    things = (thing for each in found for one in each.annotations for thing in one.things)
    return tuple(sorted({thing.name for thing in things if not thing.crowd}))


def _painted_parts(
    parts: Sequence[Annotated], classes: Sequence[str], folder: Path
) -> tuple[list[tuple[Sample, ...]], Annotated]:
    """Make samples of annotations; what has no outline is left out, and said."""
    numbers = class_numbers(parts[0].annotations, classes, folder)
    samples = []
    for annotated in parts:
        inside = annotated.folder or folder
        samples.append(tuple(_painted(inside, each, numbers) for each in annotated.annotations))
        names = Counter(sample.name for sample in samples[-1])
        if twice := sorted(name for name, times in names.items() if times > 1):
            raise InputError(f"{inside}: two of its annotated images are '{twice[0]}'; keep one")
    paintings = [each.painting for part in samples for each in part if each.painting]
    left_out = [line for painting in paintings for line in painting.left_out]
    if left_out and not any(painting.shown() for painting in paintings):
        raise InputError(left_out[0])
    notes = tuple(note for each in parts for note in each.notes)
    if left_out:
        more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
        notes += (f"left out: {left_out[0]}{more}",)
    own = tuple(numbers) if tuple(classes) != tuple(numbers) else None
    return samples, replace(parts[0], notes=notes, classes=own)


def _painted(folder: Path, annotation: Annotation, numbers: Mapping[str, int]) -> Sample:
    own = annotation.image if annotation.image.is_relative_to(folder) else annotation.file
    below = own.relative_to(folder) if own.is_relative_to(folder) else Path(own.name)
    name = below.with_suffix("").as_posix()
    painting = Painting.of(annotation, numbers)
    return Sample(name, annotation.image, annotation.file, painting=painting)
