"""What a data folder holds: images with masks or annotations, in one of the known layouts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prompttune.data.annotated_folders import (
    annotated_parts,
    coco_parts,
    samples_by_run_lengths,
    table_of_run_lengths,
    yolo_parts,
)
from prompttune.data.annotations.finding import (
    ANNOTATION_FOLDERS,
)
from prompttune.data.annotations.run_lengths import has_run_lengths
from prompttune.data.annotations.yolo import lies_beside
from prompttune.data.class_names import UNNAMED
from prompttune.data.finding import ANYWHERE
from prompttune.data.finding import Finding as Finding
from prompttune.data.finding import Found as Found
from prompttune.data.hub_tables import has_tables, read_tables
from prompttune.data.mask_folders import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    PARTS,
    VAL_FOLDERS,
    Paired,
    beside,
    chase,
    child,
    drive,
    files_of,
    first_of,
    folders_of,
    found_of,
    has_folders,
    holds_masks,
    pairs,
    pairs_by_lists,
    pairs_in_named_folders,
    pairs_in_parts,
    pairs_of_sample_folders,
    part_of,
    parts_of_names,
    plain,
    unread_below,
)
from prompttune.data.nested_folders import (
    pairs_below,
    pairs_in_sample_folders,
    parts_below,
    several_beside_masks,
)
from prompttune.data.pair_lists import has_metadata, read_metadata, read_pair_list
from prompttune.data.pairing import is_called_mask, sample_folders, side_by_side
from prompttune.data.published_folders import published
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import ANSWERS, SUFFIXES, images_below, is_hidden, is_image

_LAYOUTS = (
    "train/ and test/ with images/ + masks/ [+ fov/] each; images/ + masks/ [+ fov/]; DRIVE's "
    "training/ and test/ with images/ + 1st_manual/ + mask/; CHASE_DB1's Image_01L.jpg + "
    "Image_01L_1stHO.png; or annotations.json (COCO) or labelme's files in place of masks/; or a "
    "list of pairs, --data LIST.csv"
)
_DRAWN = (".json", ".geojson", ".xml", ".txt", ".csv")
"""Endings of files that may say what images show."""


def _in_parts(folder: Path, classes: Sequence[str], finding: Finding) -> Found:
    """Read `train/` with `test/` or `valid/` beside it."""
    train = part_of(folder, PARTS["train"]) or folder / "train"
    val, test = part_of(folder, VAL_FOLDERS), part_of(folder, PARTS["test"])
    parts, notes = [train], []
    masks = folders_of(train, finding)[1].name
    for each in (val, test):
        if each is not None and _only_images(each, masks) and not _only_images(train, masks):
            notes.append(f"left out: {each.name}/, which has no masks or annotations")
        elif each is not None:
            parts.append(each)
    val, test = (each if each in parts else None for each in (val, test))
    called = " and ".join(f"{each.name}/" for each in parts)
    if drawn := annotated_parts(parts, classes, finding):
        each_part, annotated = drawn
        samples = dict(zip(parts, each_part, strict=True))
        return Found(
            samples[train], f"{called} with {annotated.kind}",
            samples.get(test) if test else None, samples.get(val) if val else None,
            category_ids=annotated.category_ids, classes=annotated.classes,
            notes=(*annotated.notes, *notes),
        )  # fmt: skip
    if side_by_side(train) and not (train / "images").is_dir():
        read = {part: beside(part) for part in parts}
        kind = f"images and masks in one folder ({read[train].said})"
    elif single := _in_own_folders(train, classes, finding):
        others = {part: _in_own_folders(part, classes, finding) for part in parts[1:]}
        read = {train: single} | {part: each for part, each in others.items() if each}
        kind = single.said
    else:
        if len(parts) == 1 and not notes:
            parts.append(folder / "test")  # which is named as lacking
        own = [path.name for path in folders_of(train, finding)]
        read = {part: pairs(part, _as_in(part, own, finding), classes) for part in parts}
        lying = " + ".join(f"{each.name}/" for each in folders_of(train, finding))
        kind = lying + (f" ({read[train].said})" if read[train].said else "")
    named = {train: "train", val: "val", test: "test", folder / "test": "test"}
    called = " and ".join(f"{each.name}/" for each in parts)
    found = found_of({named[part]: each for part, each in read.items()}, f"{called} with {kind}")
    return replace(found, notes=(*found.notes, *notes))


def _only_images(part: Path, masks: str) -> bool:
    """Say whether a part holds images and nothing that tells what they show.

    Args:
        part: its folder.
        masks: how the folder of masks is called in `train/`.
    """
    drawn = has_folders(part) or holds_masks(part) or (part / masks).is_dir()
    if drawn or not any(images_below(part)):
        return False
    files = (path for path in part.rglob("*") if path.is_file() and not is_hidden(path))
    if any(path.suffix.lower() in _DRAWN for path in files):
        return False
    return side_by_side(part) is None and not any(
        is_called_mask(path.stem) or path.parent.name.lower() in ANSWERS
        for path in images_below(part)
    )


def _in_own_folders(part: Path, classes: Sequence[str], finding: Finding) -> Paired | None:
    """Read a part whose images lie in folders with their masks."""
    if has_folders(part):
        return None
    return (
        pairs_of_sample_folders(part, classes)
        or pairs_below(part, finding, classes)
        or pairs_in_sample_folders(part)
    )


def _as_in(part: Path, names: Sequence[str], finding: Finding) -> Finding:
    """Look for the folders of `train/` in another part, where they may hold too few to tell."""
    images, masks = (part / name for name in names)
    if finding.images_dir or finding.masks_dir or not (images.is_dir() and masks.is_dir()):
        return finding
    return replace(finding, images_dir=images, masks_dir=masks)


def find_samples(folder: Path, classes: Sequence[str], finding: Finding) -> Found:
    """Return the samples of a folder, or of a list of pairs, in one of the known layouts.

    They are described in `layouts.find_split`.

    Raises:
        InputError: missing folder, unknown layout, no images, images and masks that do not belong
            together, annotations that are none or lack a class.
    """
    if folder.is_file() and not has_run_lengths(folder):
        return read_pair_list(folder, finding)
    if table := folder if folder.is_file() else table_of_run_lengths(folder):
        return samples_by_run_lengths(table, classes)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if finding.images_dir is not None or finding.masks_dir is not None:
        paired = pairs(folder, finding, classes)
        return Found(paired.samples, plain("images + masks", paired.said), notes=paired.notes)
    if found := _with_lists(folder, classes, finding):
        return found
    if found := pairs_in_named_folders(folder, finding, classes):
        return found
    if found := _as_published(folder, classes, finding):
        return found
    if found := _release(folder):
        return found
    if part_of(folder, PARTS["train"]):
        return _in_parts(folder, classes, finding)
    if drawn := annotated_parts([folder], classes, finding):
        (samples,), annotated = drawn
        return Found(
            samples, f"{annotated.kind}, split by seed",
            category_ids=annotated.category_ids, classes=annotated.classes,
            notes=annotated.notes,
        )  # fmt: skip
    if found := _with_masks(folder, classes, finding) or parts_below(folder, finding, classes):
        return found
    if question := several_beside_masks(folder):
        raise InputError(f"{folder}: {question}")
    raise InputError(
        f"{folder}: holds no known layout; it should have {_LAYOUTS}; or name the folders with "
        f"--images_dir and --masks_dir{unread_below(folder)}"
    )


def _as_published(folder: Path, classes: Sequence[str], finding: Finding) -> Found | None:
    """Read folders as public sets have them, where nothing else says how they are to be read."""
    drawn = has_folders(folder) or parts_of_names(folder) or side_by_side(folder)
    if finding.mask_pattern is not None or drawn or (folder / "images").is_dir():
        return None
    parts = [each for called in PARTS.values() if (each := part_of(folder, called))]
    known = any(holds_masks(each) or side_by_side(each) or sample_folders(each) for each in parts)
    if known or sample_folders(folder) is not None or _json_below([folder, *parts]):
        return None
    return published(folder, classes)


def _json_below(folders: Sequence[Path]) -> bool:
    ends = (".json", ".geojson", ".xml", ".txt")
    return any(
        path.suffix.lower() in ends and not path.name.startswith(".")
        for folder in folders
        for place in (folder, folder / "images", folder / "labels")
        if place.is_dir()
        for path in place.iterdir()
    )


def _with_lists(folder: Path, classes: Sequence[str], finding: Finding) -> Found | None:
    """Read layouts with a file that lists the images of each part."""
    endings = _endings_in(folder)
    if endings & {".csv", ".jsonl"} and has_metadata(folder):
        return read_metadata(folder, finding)
    if endings & {".parquet", ".arrow"} and has_tables(folder):
        return read_tables(folder)
    if (folder / "annotations").is_dir() and (found := coco_parts(folder, classes, finding)):
        return found
    if (folder / "labels" / "train").is_dir() and (found := yolo_parts(folder, classes)):
        return found
    return pairs_by_lists(folder, finding, classes)


def _endings_in(folder: Path) -> set[str]:
    """Return the endings of the files in a folder and in its own folders."""
    return {path.suffix for pattern in ("*", "*/*") for path in folder.glob(pattern)}


def _release(folder: Path) -> Found | None:
    """Read the folders of DRIVE and of CHASE_DB1 as these are published."""
    if (folder / "training" / "1st_manual").is_dir():
        train = drive(folder / "training")
        test: tuple[Sample, ...] = ()
        if (folder / "test" / "1st_manual").is_dir():
            test = drive(folder / "test").samples
        return Found(train.samples, "DRIVE's release", test, notes=train.notes)
    if paired := chase(folder):
        layout = "CHASE_DB1's release, children split by seed"
        return Found(paired.samples, layout, group=child, notes=paired.notes)
    return None


def _with_masks(folder: Path, classes: Sequence[str], finding: Finding) -> Found | None:
    """Read folders of images and masks without parts."""
    if first_of(folder, IMAGE_FOLDERS[:1]).is_dir() or has_folders(folder):
        if found := pairs_in_parts(folder, finding, classes):
            return found
        paired = pairs(folder, finding, classes)
        images, masks = (each.name for each in folders_of(folder, finding))
        return Found(
            paired.samples, plain(f"{images}/ + {masks}/", paired.said), notes=paired.notes
        )
    if single := pairs_of_sample_folders(folder, classes):
        return Found(single.samples, plain("images and masks", single.said), notes=single.notes)
    if side_by_side(folder):
        paired = beside(folder)
        layout = plain("images and masks in one folder", paired.said)
        return Found(paired.samples, layout, notes=paired.notes)
    return None


def is_labeled(folder: Path) -> bool:
    """Say whether a folder looks like one of the layouts; whether it is good is not asked."""
    inside = {n.lower() for n in ("train", "training", *ANNOTATION_FOLDERS, *MASK_FOLDERS)}
    return (
        any(path.name.lower() in inside for path in folder.iterdir() if path.is_dir())
        or bool(parts_of_names(folder))
        or has_folders(folder)
        or lies_beside(folder, SUFFIXES)
        or any(path.suffix.lower() in (".json", ".geojson", ".xml") for path in folder.iterdir())
        or bool(files_of(folder, r"Image_\d+[LR](?=_1stHO\.)"))
        or side_by_side(folder) is not None
        or has_metadata(folder)
        or any(map(has_run_lengths, folder.glob("*.csv")))
        or has_tables(folder)
        or sample_folders(folder) is not None
        or pairs_in_sample_folders(folder) is not None
        or several_beside_masks(folder) is not None
        or _as_published(folder, UNNAMED, ANYWHERE) is not None
    )


def unwrapped(folder: Path) -> Path:
    """Return the folder that holds the data, where it lies alone in others, as archives unpack."""
    while folder.is_dir() and not is_labeled(folder):
        inside = [each for each in folder.iterdir() if not is_hidden(each)]
        folders = [each for each in inside if each.is_dir()]
        if len(folders) != 1 or any(is_image(each) for each in inside if not each.is_dir()):
            return folder
        if not is_labeled(folders[0]) and any(each.is_file() for each in folders[0].iterdir()):
            return folder
        folder = folders[0]
    return folder
