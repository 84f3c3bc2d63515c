"""What a data folder holds: images with masks or annotations, in one of the known layouts."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from prompttune.data.annotations.finding import (
    Annotated,
    find_annotated,
    find_coco_parts,
    read_yolo,
)
from prompttune.data.annotations.things import Annotation, Painting, class_numbers
from prompttune.data.annotations.yolo import has_yolo
from prompttune.data.pairing import layers, renamed, side_by_side, stems_below
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES, images_below

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "JPEGImages", "imagesTr", "photos")
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "SegmentationClass", "labelsTr", "annotations", "gt",
    "ground_truth", "groundtruth", "segmentations", "segmentation", "targets", "manual",
)  # fmt: skip
VAL_FOLDERS = ("valid", "val", "validation")
_LAYOUTS = (
    "train/ and test/ with images/ + masks/ [+ fov/] each; images/ + masks/ [+ fov/]; DRIVE's "
    "training/ and test/ with images/ + 1st_manual/ + mask/; CHASE_DB1's Image_01L.jpg + "
    "Image_01L_1stHO.png; or annotations.json (COCO) or labelme's files in place of masks/"
)


@dataclass(frozen=True)
class Finding:
    """Where a folder's files lie and how they belong together, where that cannot be seen."""

    images_dir: Path | None = None
    masks_dir: Path | None = None
    mask_pattern: str | None = None
    """A mask's name with `{stem}` for its image's: `{stem}_mask.png`."""
    group_by: str | None = None
    """A regular expression; images whose names match it with one text stay in one part."""
    crowds: str = "auto"
    """COCO's crowds: `auto`, `objects` or `ignore`."""

    def grouping(self) -> Callable[[Sample], str] | None:
        """Return what names a sample's group; None where nothing was said.

        Raises:
            InputError: not a regular expression.
        """
        if self.group_by is None:
            return None
        try:
            pattern = re.compile(self.group_by)
        except re.error as error:
            raise InputError(f"--group_by '{self.group_by}': {error}") from None

        def group(sample: Sample) -> str:
            match = pattern.search(sample.name)
            return sample.name if match is None else match[pattern.groups and 1]

        return group


_ANYWHERE = Finding()


@dataclass(frozen=True)
class Found:
    """The samples of a folder, before they are split."""

    train: Sequence[Sample]
    layout: str
    test: Sequence[Sample] | None = None
    """None: to be split off."""
    val: Sequence[Sample] | None = None
    """None: to be split off."""
    group: Callable[[Sample], str] | None = None
    """None: each sample, or each stack, alone."""
    category_ids: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    """The annotations' own, where none were named and there is one."""
    notes: tuple[str, ...] = ()


def _pairs(
    folder: Path, finding: Finding, classes: Sequence[str]
) -> tuple[tuple[Sample, ...], str]:
    """Pair the folders of images, masks and, where it exists, `fov/` by stem."""
    images, masks = map(stems_below, _folders(folder, finding))
    fields = stems_below(folder / "fov") if (folder / "fov").is_dir() else None
    if finding.mask_pattern is None and (layered := layers(images, masks, classes)):
        samples = (
            Sample(stem, images[stem], own[0][0] if own else images[stem], layers=own)
            for stem, own in sorted(layered.items())
        )
        return tuple(samples), "a mask for each class"
    keyed = renamed(images, masks, finding.mask_pattern)
    return _matched(folder, keyed[0], keyed[1], fields), keyed[2]


def _pairs_in_parts(folder: Path, finding: Finding, classes: Sequence[str]) -> Found | None:
    """Read `images/train/` with `masks/train/`, and `val/` or `test/` likewise."""
    images, masks = _folders(folder, finding)
    names = {"train": ("train",), "val": VAL_FOLDERS, "test": ("test",)}
    read = {}
    for part, called in names.items():
        own = _part(images, called)
        if own is not None and (masks / own.name).is_dir():
            inside = replace(finding, images_dir=own, masks_dir=masks / own.name)
            read[part] = _pairs(folder, inside, classes)
    if "train" not in read or len(read) == 1:
        return None
    samples, said = {part: each[0] for part, each in read.items()}, read["train"][1]
    listed = " and ".join(f"{part}/" for part in read)
    kind = f"{images.name}/ and {masks.name}/ with {listed}"
    return Found(
        samples["train"], f"{kind} ({said})" if said else kind, samples.get("test"),
        samples.get("val"),
    )  # fmt: skip


def _folders(folder: Path, finding: Finding) -> tuple[Path, Path]:
    """Return where images and where masks lie."""
    return (
        finding.images_dir or _first_of(folder, IMAGE_FOLDERS),
        finding.masks_dir or _first_of(folder, MASK_FOLDERS),
    )


def _first_of(folder: Path, names: Sequence[str]) -> Path:
    """Return the folder that bears one of the names; the first name's where none does."""
    if not folder.is_dir():
        return folder / names[0]
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), folder / names[0])


def _has_folders(folder: Path) -> bool:
    return all(each.is_dir() for each in _folders(folder, _ANYWHERE))


def _holds_masks(folder: Path) -> bool:
    """Say whether there are masks, beside which a JSON file is something else."""
    masks = _first_of(folder, MASK_FOLDERS)
    return masks.is_dir() and (masks.name == "masks" or any(images_below(masks)))


def _part(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _in_parts(folder: Path, classes: Sequence[str], finding: Finding) -> Found:
    """Read `train/` with `test/` or `valid/` beside it."""
    train, test = folder / "train", folder / "test"
    val = _part(folder, VAL_FOLDERS)
    parts = [train] + [each for each in (val, test) if each is not None and each.is_dir()]
    called = " and ".join(f"{each.name}/" for each in parts)
    if drawn := _annotated(parts if len(parts) > 1 else [train, test], classes, finding):
        found, annotated = drawn
        samples = dict(zip(parts, found, strict=True))
        return Found(
            samples[train], f"{called} with {annotated.kind}", samples.get(test),
            samples.get(val) if val else None,
            category_ids=annotated.category_ids, classes=annotated.classes,
            notes=annotated.notes,
        )  # fmt: skip
    beside = side_by_side(train) if not (train / "images").is_dir() else None
    if beside:
        kind = f"images and masks in one folder ({beside[2]})"
        read = {part: _beside(part) for part in parts}
    else:
        if val is None and not test.is_dir():
            parts.append(test)  # which is named as lacking
        paired = {part: _pairs(part, finding, classes) for part in parts}
        kind = "images/ + masks/" + (f" ({paired[train][1]})" if paired[train][1] else "")
        read = {part: samples for part, (samples, _) in paired.items()}
    called = " and ".join(f"{each.name}/" for each in parts)
    return Found(
        read[train], f"{called} with {kind}", read.get(test), read.get(val) if val else None
    )


def _yolo_parts(folder: Path, classes: Sequence[str]) -> Found | None:
    """Read `images/train/` with `labels/train/`, and `val/` and `test/` likewise."""
    images, labels = folder / "images", folder / "labels"
    if not has_yolo(labels / "train"):
        return None
    names = {"train": ("train",), "val": VAL_FOLDERS, "test": ("test",)}
    read = {}
    for part, called in names.items():
        own = _part(images, called)
        if own is not None and has_yolo(labels / own.name):
            read[part] = read_yolo(own, labels / own.name, SUFFIXES)
    samples, first = _painted_parts(list(read.values()), classes, folder)
    by_part = dict(zip(read, samples, strict=True))
    return Found(
        by_part["train"], f"images/ and labels/ with {first.kind}", by_part.get("test"),
        by_part.get("val"), classes=first.classes, notes=first.notes,
    )  # fmt: skip


def _beside(folder: Path) -> tuple[Sample, ...]:
    found = side_by_side(folder)
    if found is None:
        raise InputError(f"{folder}: holds no pairs such as scan0.jpg + scan0_mask.png")
    return _matched(folder, found[0], found[1], None)


def _annotated(
    parts: Sequence[Path], classes: Sequence[str], finding: Finding
) -> tuple[list[tuple[Sample, ...]], Annotated] | None:
    """Return the samples of annotated parts and the first one's annotations; None where masks lie.

    The first part alone must show every class.
    """
    if _holds_masks(parts[0]):
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
    name = annotation.image.relative_to(folder).with_suffix("").as_posix()
    painting = Painting.of(annotation, numbers)
    return Sample(name, annotation.image, annotation.file, painting=painting)


def _coco_parts(folder: Path, classes: Sequence[str], finding: Finding) -> Found | None:
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


def find_samples(folder: Path, classes: Sequence[str], finding: Finding) -> Found:
    """Return the samples of a folder in one of the known layouts (`layouts.find_split`).

    Raises:
        InputError: missing folder, unknown layout, no images, an image or mask without partner,
            annotations that are none or lack a class.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if finding.images_dir is not None or finding.masks_dir is not None:
        samples, said = _pairs(folder, finding, classes)
        return Found(samples, _plain("images + masks", said))
    if found := _coco_parts(folder, classes, finding) or _yolo_parts(folder, classes):
        return found
    if (folder / "train").is_dir():
        return _in_parts(folder, classes, finding)
    if (folder / "training" / "1st_manual").is_dir():
        train = _drive(folder / "training")
        test: tuple[Sample, ...] = ()
        if (folder / "test" / "1st_manual").is_dir():
            test = _drive(folder / "test")
        return Found(train, "DRIVE's release", test)
    if samples := _chase(folder):
        return Found(samples, "CHASE_DB1's release, children split by seed", group=_child)
    if drawn := _annotated([folder], classes, finding):
        (samples,), annotated = drawn
        return Found(
            samples, f"{annotated.kind}, split by seed",
            category_ids=annotated.category_ids, classes=annotated.classes,
            notes=annotated.notes,
        )  # fmt: skip
    if _first_of(folder, IMAGE_FOLDERS[:1]).is_dir() or _has_folders(folder):
        if found := _pairs_in_parts(folder, finding, classes):
            return found
        samples, said = _pairs(folder, finding, classes)
        images, masks = (each.name for each in _folders(folder, finding))
        return Found(samples, _plain(f"{images}/ + {masks}/", said))
    if beside := side_by_side(folder):
        return Found(_beside(folder), _plain("images and masks in one folder", beside[2]))
    raise InputError(
        f"{folder}: holds no known layout; it should have {_LAYOUTS}; or name the folders with "
        "--images_dir and --masks_dir"
    )


def is_labelled(folder: Path) -> bool:
    """Say whether a folder looks like one of the layouts; whether it is good is not asked."""
    inside = ("train", "training", "annotations", *MASK_FOLDERS)
    return (
        any((folder / name).is_dir() for name in inside)
        or any(path.suffix.lower() == ".json" for path in folder.iterdir())
        or bool(_files(folder, r"Image_\d+[LR](?=_1stHO\.)"))
        or side_by_side(folder) is not None
    )


def annotated_names(folder: Path) -> tuple[str, ...]:
    """Return the names of all that is annotated in a folder, sorted; empty where masks lie.

    Raises:
        InputError: as `find_samples`.
    """
    found = [each for part in find_coco_parts(folder, SUFFIXES).values() for each in part]
    if has_yolo(folder / "labels" / "train"):
        found = [read_yolo(folder / "images" / "train", folder / "labels" / "train", SUFFIXES)]
    part = folder / "train" if (folder / "train").is_dir() else folder
    if not found and not _holds_masks(part):
        found = [each for each in (find_annotated(part, SUFFIXES),) if each is not None]
    things = (thing for each in found for one in each.annotations for thing in one.things)
    return tuple(sorted({thing.name for thing in things if not thing.crowd}))


def _plain(kind: str, said: str) -> str:
    return f"{kind} ({said}), split by seed" if said else f"{kind}, split by seed"


def _drive(folder: Path) -> tuple[Sample, ...]:
    """Pair a part of DRIVE's own release by the number that its names begin with."""
    images = _files(folder / "images", r"\d+(?=_)")
    masks = _files(folder / "1st_manual", r"\d+(?=_)")
    fields = _files(folder / "mask", r"\d+(?=_)")
    return _matched(folder, images, masks, fields)


def _chase(folder: Path) -> tuple[Sample, ...]:
    """Pair CHASE_DB1's images with the masks of the first observer; none where there are none."""
    images = _files(folder, r"Image_\d+[LR](?=\.)")
    masks = _files(folder, r"Image_\d+[LR](?=_1stHO\.)")
    return _matched(folder, images, masks, None) if images or masks else ()


def _child(sample: Sample) -> str:
    return sample.name.rstrip("LR")


def _files(folder: Path, key: str = r".+(?=\.[^.]+$)") -> dict[str, Path]:
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


def _matched(
    folder: Path,
    images: dict[str, Path],
    masks: dict[str, Path],
    fields: dict[str, Path] | None,
) -> tuple[Sample, ...]:
    if not images and not masks:
        raise InputError(f"{folder}: holds no images; they end in {', '.join(sorted(SUFFIXES))}")
    _check_partners(images, masks, "mask")
    _check_partners(masks, images, "image")
    if fields is not None:
        _check_partners(images, fields, "field of view")
    return tuple(
        Sample(
            key if "/" in key else images[key].stem,
            images[key],
            masks[key],
            fields[key] if fields else None,
        )
        for key in sorted(images)
    )


def _check_partners(files: dict[str, Path], partners: dict[str, Path], kind: str) -> None:
    lacking = sorted(set(files) - set(partners))
    if lacking:
        others = f" (nor have {len(lacking) - 1} others)" if len(lacking) > 1 else ""
        named = "" if kind != "mask" else ", or say how masks are named with --mask_pattern"
        raise InputError(
            f"{files[lacking[0]]}: has no {kind}{others}; add it or take the file out{named}"
        )
