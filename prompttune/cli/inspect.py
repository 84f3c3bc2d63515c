"""Say what a folder holds, before time is spent on it: `prompttune inspect DIR`.

Prints how masks and images were understood, what each class shows, what was left out and why; with
`--output` it draws a contact sheet.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.cli.commandline import Parser
from prompttune.cli.file_options import (
    add_image_options,
    add_mask_options,
    add_pages_option,
    image_options,
    mask_options,
    named_by_colors,
    read_values,
)
from prompttune.data.class_names import class_names
from prompttune.outputs.paths import find_images
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import LISTS

if TYPE_CHECKING:
    from prompttune.tasks.data import SampleFolder, TaskData
    from prompttune.tasks.recipe import Recipe

PROG = "prompttune.inspect"
MAX_CLASSES = 40
DECODED = 20_000_000
"""Pixels that are decoded to be sure, of images alone."""
SHOWN = 12
"""Images of a contact sheet, and values of a list."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog="prompttune inspect", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("data", type=Path, metavar="DIR", help="folder of images, with masks or without")
    add("--classes", metavar="A,B", help="foreground classes (default: as the files have them)")
    add("--output", type=Path, metavar="FILE", help="write a contact sheet, a PNG")
    add("--images_dir", type=Path, metavar="DIR", help="where images lie, if not in images/")
    add("--masks_dir", type=Path, metavar="DIR", help="where masks lie, if not in masks/")
    add("--mask_pattern", metavar="NAME", help="a mask's name: {stem}_mask.png")
    add("--group_by", metavar="REGEX", help="images that match it with one text stay together")
    add("--crowds", choices=("auto", "objects", "ignore"), default="auto", help="COCO's crowds")
    add("--seed", type=int, default=0, help="of the split (default: %(default)s)")
    files = parser.add_argument_group("files (where it cannot be seen how they are to be read)")
    add_image_options(files)
    add_pages_option(files)
    add_mask_options(files)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    options = parse(argv)

    from prompttune.data.folders import unwrapped
    from prompttune.tasks.data import task_data

    if not options.data.exists():
        raise InputError(f"{options.data}: no such file or folder")
    options.data = unwrapped(options.data)
    if not _is_labeled(options):
        return _describe_images(options)
    data = task_data(_recipe(options), options.data, None, options.images_dir, options.masks_dir)
    _describe(options, data)
    if options.output is not None:
        _draw(options.output, data)
    return 0


def _is_labeled(options: argparse.Namespace) -> bool:
    """Say whether a folder has a layout with masks or annotations, or a file lists pairs."""
    from prompttune.data.folders import is_labeled

    named = options.images_dir or options.masks_dir
    if options.data.is_file():
        return options.data.suffix.lower() in LISTS
    return bool(named) or (options.data.is_dir() and is_labeled(options.data))


def _describe_images(options: argparse.Namespace) -> int:
    from prompttune.data.mask_folders import unread_below
    from prompttune.data.queries import describe_folders, describe_images
    from prompttune.data.unreadable import reasons_of

    passed: list[Path] = []
    images = find_images([options.data], passed=passed)
    reasons = reasons_of(images, decoded=DECODED)
    good = [image for image in images if image not in reasons]
    if not good:
        raise InputError(next(iter(reasons.values())))
    print(f"{options.data}: {describe_images(good, image_options(options))}; no masks beside them")
    for line in describe_folders(options.data, good, image_options(options)):
        print(f"Note:   {line}")
    if unread := unread_below(options.data):
        print(f"Note:   {unread.removeprefix('; ')}")
    for reason in (*reasons.values(), *passed):
        print(f"Unused: {reason}")
    return 0


def _recipe(options: argparse.Namespace) -> "Recipe":
    """Return what is known of the task, with classes as the files have them if none are named."""
    from prompttune.tasks.recipe import Recipe

    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in (
            "mask_kind", "colors", "mask_pattern", "resize_masks", "crowds", "group_by", "bands",
            "stretch", "pages", "seed",
        )
    }  # fmt: skip
    given["mask_values"] = read_values(options.mask_values)
    if options.classes is not None:
        given["classes"] = class_names(options.classes.split(","))
    elif options.colors is not None:
        given["classes"] = named_by_colors(options.colors)
    else:
        given |= _guessed(options)
    return Recipe("custom", **given)


def _guessed(options: argparse.Namespace) -> dict[str, Any]:
    """Return the classes that a legend or annotations name, or that the masks' values are."""
    from prompttune.data.annotated_folders import annotated_names
    from prompttune.data.folders import Finding, find_samples
    from prompttune.data.mask_facts import look_at
    from prompttune.data.mask_survey import guess_classes
    from prompttune.data.survey import stored_mask
    from prompttune.data.unreadable import readable
    from prompttune.tasks.legend import read_legend
    from prompttune.tasks.recipe import Recipe

    told = read_legend(Recipe("custom"), options.data)
    if told.classes != Recipe.classes:
        return {"classes": told.classes}
    if options.data.is_dir() and (names := annotated_names(options.data)):
        return {"classes": names}
    finding = Finding(options.images_dir, options.masks_dir, options.mask_pattern)
    found = find_samples(options.data, Recipe.classes, finding)
    masks = mask_options(options, None)
    samples, _ = readable((*found.train, *(found.val or ()), *(found.test or ())))
    facts = [look_at(stored_mask(sample, masks), sample.mask) for sample in samples]
    names, meaning = guess_classes(facts, masks)
    if masks.kind != "auto" or masks.values is not None:
        return {"classes": names}
    if meaning.kind == "index" or meaning.values == {0: 0, 1: 1}:
        return {"classes": names}
    return {"classes": names, "mask_kind": meaning.kind, "mask_values": meaning.values}


def _painted_shares(folders: "Sequence[SampleFolder]", classes: Sequence[str]) -> dict[str, float]:
    """Return the share of each class of all pixels, where all masks are painted from annotations.

    Of images the headers alone are read. Other masks were counted when they were understood.
    """
    import numpy as np

    from prompttune.data.decoding import header

    samples = [sample for folder in folders for sample in folder.samples]
    counts = np.zeros(len(classes) + 1, np.int64)
    pixels = 0
    for sample in samples:
        if sample.painting is None:
            return {}
        (width, height), _, _ = header(sample.image)
        class_map = sample.painting.class_map((height, width))
        counts += np.bincount(class_map.ravel(), minlength=IGNORE + 1)[: len(counts)]
        pixels += class_map.size
    return {name: int(counts[at]) / pixels for at, name in enumerate(classes, 1)} if pixels else {}


def _describe(options: argparse.Namespace, data: "TaskData") -> None:
    from prompttune.data.survey import leftovers
    from prompttune.tasks.data import SampleFolder

    survey = data.survey
    assert survey is not None
    print(f"{options.data}: {survey.line}")
    print(f"Layout: {data.layout}")
    parts = (("training", data.train), ("validation", data.val), ("test", data.test))
    print("Parts:  " + ", ".join(f"{len(part)} {name}" for name, part in parts))
    folders = [each for each in (data.train, data.val, data.test) if isinstance(each, SampleFolder)]
    painted = _painted_shares(folders, list(survey.classes))
    for name, (images, share) in list(survey.classes.items())[:MAX_CLASSES]:
        share = painted.get(name, share)
        pixels = "" if share is None else f", {100 * share:.3g} % of all pixels"
        print(f"Class:  {name} in {images} images{pixels}")
    if survey.values:
        listed = ", ".join(f"{value}: {count:,}" for value, count in survey.values[:SHOWN])
        more = f", ... ({len(survey.values)} values)" if len(survey.values) > SHOWN else ""
        print(f"Values: {listed}{more} (pixels)")
    used = [path for part in folders for path in part.files().values()]
    for line in survey.notes:
        print(f"Note:   {line}")
    for line in leftovers(options.data, used):
        print(f"Unused: {line}")
    for line in survey.warnings:
        print(f"Warning: {line}")


def _draw(output: Path, data: "TaskData") -> None:
    from prompttune.outputs.drawing import write_sheet

    assert data.recipe is not None
    samples = [*data.train, *data.test][:: max(1, (len(data.train) + len(data.test)) // SHOWN)]
    write_sheet(output, samples[:SHOWN], data.recipe.classes)
    print(f"Contact sheet: {output}")
