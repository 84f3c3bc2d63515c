"""Folders as some public sets are published: MVTec AD, Cityscapes, and BUSI with others like it."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from prompttune.data.finding import Found
from prompttune.data.mask_folders import VAL_FOLDERS, part_of
from prompttune.data.pairing import stems_below
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import is_hidden

_FEW = 3
_NUMBERED = re.compile(r"(?i)^(.+?)[_\- ]+(?:mask|label|gt|seg|segmentation)(?:[_\- ]+(\d+))?$")
_CITY_MASKS = ("labelTrainIds", "labelIds")
"""Of the four pictures that Cityscapes has for each image, those that hold classes."""


def published(folder: Path, classes: Sequence[str]) -> Found | None:
    """Read a folder that is laid out as one of these sets; None where it is none.

    - MVTec: `test/KIND/000.png` with `ground_truth/KIND/000_mask.png`; `test/good/` shows nothing.
    - Cityscapes: `leftImg8bit/PART/CITY/` with `gtFine/PART/CITY/`.
    - BUSI: folders of images with their masks beside them, `x (1).png` with `x (1)_mask.png` and
      `x (1)_mask_1.png`; several masks of an image are taken together.

    Args:
        folder: of the data.
        classes: names of the foreground classes.
    """
    return _mvtec(folder) or _cityscapes(folder) or _masks_beside(folder, classes)


def _mvtec(folder: Path) -> Found | None:
    truth, test = folder / "ground_truth", folder / "test"
    if not (truth.is_dir() and test.is_dir()):
        return None
    images, masks = stems_below(test), stems_below(truth)
    owners = {stem.removesuffix("_mask"): path for stem, path in masks.items()}
    if not owners or not owners.keys() <= images.keys():
        return None
    good = {stem for stem in images if stem.startswith("good/")}
    samples = [
        Sample(stem, path, owners[stem]) if stem in owners else Sample(stem, path, path, layers=())
        for stem, path in images.items()
        if stem in owners or stem in good
    ]
    notes = [f"test/good/: {len(good)} images show nothing"] if good else []
    if (folder / "train").is_dir():
        notes.append("left out: train/, which has no masks")
    if lacking := len(images) - len(samples):
        notes.append(f"left out: {lacking} images of test/ without a mask")
    return Found(samples, "test/ with ground_truth/ (MVTec), split by seed", notes=tuple(notes))


def _cityscapes(folder: Path) -> Found | None:
    images, masks = folder / "leftImg8bit", folder / "gtFine"
    if not ((images / "train").is_dir() and (masks / "train").is_dir()):
        return None
    read: dict[str, list[Sample]] = {}
    used = ""
    for part, called in {"train": ("train",), "val": VAL_FOLDERS, "test": ("test",)}.items():
        own = part_of(images, called)
        if own is None or not (masks / own.name).is_dir():
            continue
        drawn = stems_below(masks / own.name)
        for stem, path in stems_below(own).items():
            bare = stem.removesuffix("_leftImg8bit")
            names = (f"{bare}_gtFine_{kind}" for kind in _CITY_MASKS)
            if found := next((name for name in names if name in drawn), None):
                used = used or found.rpartition("_")[2]
                if found.endswith(f"_{used}"):
                    read.setdefault(part, []).append(Sample(bare, path, drawn[found]))
    if "train" not in read:
        return None
    listed = " and ".join(f"{part}/" for part in read)
    return Found(
        read["train"], f"leftImg8bit/ + gtFine/ (Cityscapes, {used}) with {listed}",
        read.get("test"), read.get("val"),
    )  # fmt: skip


def _masks_beside(folder: Path, classes: Sequence[str]) -> Found | None:
    """Read folders in which each mask is called after the image beside it, numbered or not."""
    folders = [each for each in folder.iterdir() if each.is_dir() and not is_hidden(each)]
    if not folders:
        return None
    try:
        stems = stems_below(folder)
    except InputError:  # two files of one stem: no masks are numbered after them
        return None
    owned: dict[str, list[Path]] = defaultdict(list)
    masks: set[str] = set()
    for stem, path in stems.items():
        place, slash, name = stem.rpartition("/")
        match = _NUMBERED.match(name)
        if match and (owner := f"{place}{slash}{match[1]}") in stems:
            owned[owner].append(path)
            masks.add(stem)
    images = stems.keys() - masks
    several = any(len(each) > 1 for each in owned.values())
    if len(owned) < _FEW or 2 * len(owned) < len(images) or (several and len(classes) > 1):
        return None
    samples = [
        Sample(stem, stems[stem], own[0], layers=tuple((path, 1) for path in own))
        if several
        else Sample(stem, stems[stem], own[0])
        for stem, own in owned.items()
    ]
    notes = []
    if lonely := sorted(images - owned.keys()):
        more = f" and {len(lonely) - 1} more" if len(lonely) > 1 else ""
        notes.append(f"left out: {stems[lonely[0]]}{more}, without mask")
    said = "; several of one image are taken together" if several else ""
    return Found(
        samples, f"masks beside their images, folder by folder{said}, split by seed",
        notes=tuple(notes),
    )  # fmt: skip
