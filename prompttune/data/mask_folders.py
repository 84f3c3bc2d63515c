"""Folders of images with folders of masks: which mask belongs to which image."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prompttune.data.finding import ANYWHERE, Finding, Found
from prompttune.data.pairing import (
    layers,
    renamed,
    sample_folders,
    side_by_side,
    stems_below,
    things_of,
)
from prompttune.data.samples import Sample
from prompttune.data.two_folders import two_folders
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES, images_below, is_hidden
from prompttune.utils.malformed import understood

IMAGE_FOLDERS = (
    "images", "image", "imgs", "img", "JPEGImages", "imagesTr", "photos", "img_dir", "image_dir",
    "original", "originals", "rgb", "input", "inputs",
)  # fmt: skip
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "SegmentationClass", "labelsTr", "annotations", "gt",
    "ground_truth", "groundtruth", "segmentations", "segmentation", "targets", "manual", "ann_dir",
    "mask_dir", "SegmentationClassPNG", "SegmentationClassRaw", "gts", "annot", "seg",
    "ground truth", "ground-truth", "semantic", "lbl", "lbls",
)  # fmt: skip
VAL_FOLDERS = ("valid", "val", "validation")
PARTS = {"train": ("train", "training"), "val": VAL_FOLDERS, "test": ("test", "testing")}
"""What the folders of each part are called, in any case."""
_NAMED_IMAGES = (
    "{}_images",
    "{}_image",
    "{}_imgs",
    "{}_img",
    "{}-images",
    "images_{}",
    "{}_x",
    "x_{}",
    "{}",
)
_NAMED_MASKS = (
    "{}_masks", "{}_mask", "{}_labels", "{}_label", "{}_gt", "{}_annot", "{}annot", "{}-masks",
    "{}_annotations", "{}_segmentation", "{}_seg", "masks_{}", "labels_{}", "{}_y", "y_{}",
)  # fmt: skip
_VIEWS = ("mask", "masks")
"""What a folder of fields of view is called where another one is called `manual`."""
_MANUAL = re.compile(r"(?i)(1st_|first_)?manual_?1?")
_UNREAD = frozenset(
    {".npy", ".npz", ".h5", ".hdf5", ".mat", ".zarr", ".mha", ".nrrd", ".czi", ".nd2", ".lif"}
)
"""Of files that hold arrays in many ways, which people keep beside images."""
_FEW = 3
"""So many pairs show that the names were understood; images without a mask are then left out."""


@dataclass(frozen=True)
class Paired:
    """Samples of a folder, and in words how they were paired."""

    samples: tuple[Sample, ...]
    said: str = ""
    """How names differ; empty where they do not."""
    notes: tuple[str, ...] = ()
    """What was left out."""


def pairs(folder: Path, finding: Finding, classes: Sequence[str]) -> Paired:
    """Pair the folders of images, masks and, where it exists, `fov/` by name.

    Raises:
        InputError: a missing folder, or images and masks that do not belong together.
    """
    images, masks = map(stems_below, _there(folder, *folders_of(folder, finding)))
    fields = _fields(folder, images, masks)
    if finding.mask_pattern is None:
        if layered := layers(images, masks, classes):
            return Paired(_layered(images, layered), "a mask for each class")
        if layered := things_of(images, masks, classes):
            return Paired(_layered(images, layered), _things_said(layered))
    keyed = renamed(images, masks, finding.mask_pattern)
    return _matched(folder, keyed[0], keyed[1], fields, keyed[2])


def _fields(
    folder: Path, images: dict[str, Path], masks: dict[str, Path]
) -> dict[Path, Path] | None:
    """Find the fields of view: in `fov/`, or in `mask/` beside `manual/`, as of retinas."""
    named = part_of(folder, ("fov", *_VIEWS)) if masks else None
    if named is None or any(path.is_relative_to(named) for path in masks.values()):
        return None
    if named.name.lower() in _VIEWS and manual_folder(folder) is None:
        return None
    keyed, fields, _ = renamed(images, stems_below(named))
    _check_partners(keyed, fields, "field of view")
    return {path: fields[key] for key, path in keyed.items()}


def manual_folder(folder: Path) -> Path | None:
    """Return `manual/`, `manual1/` or `1st_manual/` beside `mask/`; None where there is none."""
    if not folder.is_dir() or part_of(folder, _VIEWS) is None:
        return None
    found = (path for path in sorted(folder.iterdir()) if _MANUAL.fullmatch(path.name))
    return next((path for path in found if path.is_dir()), None)


def _there(folder: Path, images: Path, masks: Path) -> tuple[Path, Path]:
    """Ask for the folder of masks where none is called so.

    Raises:
        InputError: there are other folders beside that of the images.
    """
    if images.is_dir() and not masks.exists():
        others = [each for each in folder.iterdir() if each.is_dir() and not is_hidden(each)]
        if listed := ", ".join(sorted(f"{each.name}/" for each in others if each != images)):
            raise InputError(
                f"{masks}: no such folder; if {listed} holds the masks, name it with --masks_dir"
            )
    return images, masks


def _layered(
    images: dict[str, Path], layered: dict[str, tuple[tuple[Path, int], ...]]
) -> tuple[Sample, ...]:
    return tuple(
        Sample(stem, images[stem], own[0][0] if own else images[stem], layers=own)
        for stem, own in sorted(layered.items())
    )


def _things_said(layered: dict[str, tuple[tuple[Path, int], ...]]) -> str:
    empty = sum(not own for own in layered.values())
    more = f"; {empty} images without one show nothing" if empty else ""
    return f"a mask for each thing{more}"


def pairs_of_sample_folders(folder: Path, classes: Sequence[str]) -> Paired | None:
    """Read a folder for each sample, with `images/` and `masks/` in it; None where it is none."""
    found = sample_folders(folder)
    if found is None:
        return None
    images, masks = found
    if layered := layers(images, masks, classes) or things_of(
        images, masks, classes, even_one=True
    ):
        return Paired(
            _layered(images, layered), f"a folder for each image, {_things_said(layered)}"
        )
    return None


def pairs_in_parts(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Read `images/train/` with `masks/train/`, and `val/` or `test/` likewise."""
    images, masks = folders_of(folder, finding)
    read: dict[str, Paired] = {}
    for part, called in PARTS.items():
        own, drawn = part_of(images, called), part_of(masks, called)
        if own is not None and drawn is not None:
            inside = replace(finding, images_dir=own, masks_dir=drawn)
            read[part] = pairs(folder, inside, classes)
    if "train" not in read or len(read) == 1:
        return None
    said = read["train"].said
    listed = " and ".join(f"{part}/" for part in read)
    kind = f"{images.name}/ and {masks.name}/ with {listed}"
    return found_of(read, f"{kind} ({said})" if said else kind)


def parts_of_names(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Find folders whose names say the part and the side: `train_images/` with `train_masks/`.

    Returns:
        Folders of images and of masks by `train`, `val` and `test`; empty where there are none.
    """
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    found = {}
    for part, called in PARTS.items():
        for name in called:
            sides = [
                next((there[n] for each in wanted if (n := each.format(name)) in there), None)
                for wanted in (_NAMED_IMAGES, _NAMED_MASKS)
            ]
            if sides[0] is not None and sides[1] is not None and part not in found:
                found[part] = (sides[0], sides[1])
    return found if "train" in found else {}


def pairs_in_named_folders(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Read `train_images/` with `train_masks/`, or `train/` with `trainannot/`, and other parts."""
    parts = parts_of_names(folder)
    if not parts:
        return None
    read = {
        part: pairs(folder, replace(finding, images_dir=images, masks_dir=masks), classes)
        for part, (images, masks) in parts.items()
    }
    listed = " and ".join(f"{images.name}/ + {masks.name}/" for images, masks in parts.values())
    return found_of(read, plain(listed, read["train"].said) if len(read) == 1 else listed)


def unread_below(folder: Path) -> str:
    """Say which files of a folder may hold masks in a format that is not read; else nothing."""
    if not folder.is_dir():
        return ""
    files = (each for each in folder.rglob("*") if each.suffix.lower() in _UNREAD)
    first = min(files, default=None)
    if first is None:
        return ""
    called = first.relative_to(folder).as_posix()
    if first.name.endswith("_seg.npy"):
        return (
            f"; Cellpose's files such as {called} are not read, since they may hold programs: let "
            "Cellpose write masks as PNG or TIFF (File, Save masks; --save_png, --save_tif)"
        )
    return f"; files such as {called} are not read: save masks and images as PNG or TIFF"


def found_of(read: dict[str, Paired], layout: str) -> Found:
    """Put `train`, `val` and `test` together."""
    samples = {part: each.samples for part, each in read.items()}
    notes = tuple(note for each in read.values() for note in each.notes)
    return Found(samples["train"], layout, samples.get("test"), samples.get("val"), notes=notes)


def pairs_by_lists(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Split as `ImageSets/Segmentation/train.txt`, `val.txt` and `test.txt` of VOC say."""
    lists = folder / "ImageSets" / "Segmentation"
    if not (lists / "train.txt").is_file():
        return None
    paired = pairs(folder, finding, classes)
    by_name = {sample.name: sample for sample in paired.samples}
    read = {}
    for part in ("train", "val", "test"):
        if (lists / f"{part}.txt").is_file():
            with understood(lists / f"{part}.txt", "list of names"):
                listed = (lists / f"{part}.txt").read_text(encoding="utf-8-sig").split()
            own = tuple(by_name[name] for name in dict.fromkeys(listed) if name in by_name)
            read[part] = Paired(own) if own else None
    there = {part: each for part, each in read.items() if each is not None}
    if "train" not in there:
        return None
    parts = " and ".join(f"{part}.txt" for part in there)
    return found_of(there, f"VOC, parts by {parts}")


def beside(folder: Path) -> Paired:
    """Pair images with masks that lie in one folder with them.

    Raises:
        InputError: there are no such pairs.
    """
    found = side_by_side(folder)
    if found is None:
        raise InputError(f"{folder}: holds no pairs such as scan0.jpg + scan0_mask.png")
    return _matched(folder, found[0], found[1], None, found[2])


def _matched(
    folder: Path,
    images: dict[str, Path],
    masks: dict[str, Path],
    fields: dict[Path, Path] | None,
    said: str = "",
) -> Paired:
    if not images and not masks:
        raise InputError(f"{folder}: holds no images; they end in {', '.join(sorted(SUFFIXES))}")
    both = images.keys() & masks.keys()
    notes = [
        *_lonely(images, masks, "mask", len(both) if len(both) >= _FEW else 0),
        *_lonely(masks, images, "image", len(both) // _FEW),
    ]
    samples = tuple(
        Sample(
            key if "/" in key else images[key].stem,
            images[key],
            masks[key],
            fields[images[key]] if fields else None,
        )
        for key in sorted(both)
    )
    return Paired(samples, said, tuple(notes))


def _lonely(
    files: dict[str, Path], partners: dict[str, Path], kind: str, pairs: int
) -> Iterable[str]:
    """Name files without a partner, which are left out where pairs enough show what is meant."""
    lacking = sorted(set(files) - set(partners))
    if not lacking:
        return ()
    if not pairs or (kind == "image" and len(lacking) > pairs):
        _check_partners(files, partners, kind)
    others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    return (f"left out: {files[lacking[0]]}{others}, without {kind}",)


def _check_partners(files: dict[str, Path], partners: dict[str, Path], kind: str) -> None:
    lacking = sorted(set(files) - set(partners))
    if lacking:
        others = f" (nor have {len(lacking) - 1} others)" if len(lacking) > 1 else ""
        named = "" if kind != "mask" else ", or say how masks are named with --mask_pattern"
        unread = unread_below(files[lacking[0]].parents[1])
        raise InputError(
            f"{files[lacking[0]]}: has no {kind}{others}; add it or take the file out{named}"
            f"{unread}"
        )


def folders_of(folder: Path, finding: Finding) -> tuple[Path, Path]:
    """Return where images and where masks lie."""
    images, masks = first_of(folder, IMAGE_FOLDERS), first_of(folder, MASK_FOLDERS)
    if finding.images_dir is None and finding.masks_dir is None:
        masks = manual_folder(folder) or masks
        known = images.is_dir() and masks.is_dir()
        return (images, masks) if known else two_folders(folder) or (images, masks)
    return finding.images_dir or images, finding.masks_dir or masks


def first_of(folder: Path, names: Sequence[str]) -> Path:
    """Return the folder that bears one of the names; the first name's where none does."""
    if not folder.is_dir():
        return folder / names[0]
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), folder / names[0])


def has_folders(folder: Path) -> bool:
    """Say whether there is a folder of images and one of masks."""
    return all(each.is_dir() for each in folders_of(folder, ANYWHERE))


def holds_masks(folder: Path) -> bool:
    """Say whether there are masks, beside which a JSON file is something else."""
    masks = first_of(folder, MASK_FOLDERS)
    return masks.is_dir() and (masks.name == "masks" or any(images_below(masks)))


def part_of(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the folder inside that bears one of the names, in any case; None where none does."""
    found = first_of(folder, names)
    return found if found.is_dir() else None


def plain(kind: str, said: str) -> str:
    """Describe a layout whose parts are split by seed."""
    return f"{kind} ({said}), split by seed" if said else f"{kind}, split by seed"


def drive(folder: Path) -> Paired:
    """Pair a part of DRIVE's own release by the number that its names begin with."""
    images = files_of(folder / "images", r"\d+(?=_)")
    masks = files_of(folder / "1st_manual", r"\d+(?=_)")
    fields = files_of(folder / "mask", r"\d+(?=_)")
    _check_partners(images, fields, "field of view")
    return _matched(folder, images, masks, {images[key]: fields[key] for key in images})


def chase(folder: Path) -> Paired | None:
    """Pair CHASE_DB1's images with the masks of the first observer; none where there are none."""
    images = files_of(folder, r"Image_\d+[LR](?=\.)")
    masks = files_of(folder, r"Image_\d+[LR](?=_1stHO\.)")
    return _matched(folder, images, masks, None) if images or masks else None


def child(sample: Sample) -> str:
    """Return the child whose left or right eye a sample of CHASE_DB1 is."""
    return sample.name.rstrip("LR")


def files_of(folder: Path, key: str = r".+(?=\.[^.]+$)") -> dict[str, Path]:
    """Return the folder's image files by the start of their names that `key` matches."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = re.match(key, path.name)
        if not match or path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if match[0] in found:
            raise InputError(
                f"{path} and {found[match[0]].name} beside it are both '{match[0]}'; keep one"
            )
        found[match[0]] = path
    return found
