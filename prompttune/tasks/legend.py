"""Legends that tools write beside masks: which color, or which value, is which class."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompttune.data.class_names import BACKGROUND, UNNAMED
from prompttune.tasks.recipe import Recipe
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError, warn
from prompttune.utils.image_files import images_below
from prompttune.utils.malformed import MALFORMED

CVAT = "labelmap.txt"
ROBOFLOW = "_classes.csv"
CAMVID = "class_dict.csv"
_JSON = (
    "legend.json",
    "labels.json",
    "label_map.json",
    "labelmap.json",
    "classes.json",
    "dataset.json",
)


def read_legend(recipe: Recipe, folder: Path) -> Recipe:
    """Take what masks hold, and classes where none were named, from a legend in a folder.

    It may be CVAT's `labelmap.txt` (`label:red,green,blue:parts:actions`), Roboflow's
    `_classes.csv` (`Pixel Value, Class`), `class_dict.csv` (`name,r,g,b`), or a JSON file of names
    with numbers or colors, such as the `labels` of nnU-Net's `dataset.json`. What the user said
    wins.

    Raises:
        InputError: a legend that cannot be read.
    """
    if recipe.colors is not None or recipe.mask_values is not None or folder.is_file():
        return recipe
    for file in _legends(folder):
        colors, values = _read(file, folder)
        if colors:
            return _with_colors(recipe, colors)
        if values:
            return _with_values(recipe, values, file)
    return recipe


def _legends(folder: Path) -> Iterable[Path]:
    for place in (folder, folder / "train", folder / "masks"):
        for name in (CVAT, ROBOFLOW, CAMVID, *_JSON):
            if (place / name).is_file():
                yield place / name


def _read(file: Path, folder: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Return colors `#rrggbb` and values of the names that a legend lists; one of them is empty."""
    try:
        if file.name == CVAT:
            return _cvat(file.read_text(encoding="utf-8-sig").splitlines()), {}
        if file.suffix == ".csv":
            return _table(file.read_text(encoding="utf-8-sig").splitlines())
        content = json.loads(file.read_bytes())
        if isinstance(content, list) and all(isinstance(name, str) for name in content):
            return {}, _numbered(content, folder, file)
        return _json(content)
    except MALFORMED as error:
        raise InputError(
            f"{file}: no legend ({error}); give --colors crack=#ff0000, or --mask_values"
        ) from None


def _cvat(lines: Iterable[str]) -> dict[str, str]:
    colors = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, color, *_ = line.split(":")
            colors[name.strip()] = _hex(color.split(","))
        except ValueError:
            raise ValueError(f"no color in the line '{line[:60]}'") from None
    return colors


def _table(lines: Sequence[str]) -> tuple[dict[str, str], dict[str, int]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    body = rows[1:]
    if len(rows[0]) >= 4:
        return {row[0]: _hex(row[1:4]) for row in body}, {}
    return {}, {row[1]: int(row[0]) for row in body}


def _numbered(names: list[str], folder: Path, file: Path) -> dict[str, int]:
    """Number a list of names, from 0 where the first is the background.

    It need not be called so ("other", "soil"). Where masks go up to one less than there are names,
    and show 0, the list counts from 0: else nothing would ever show the last name.
    """
    if not names:
        return {}
    first = 0 if names[0].lower() in BACKGROUND else 1
    if first and _highest(folder) == len(names) - 1 > 0:
        text = f"{file}: counts from 0, since no mask has {len(names)}: '{names[0]}' is background"
        warn(text, once=str(file))
        first = 0
    return {name: number for number, name in enumerate(names, first)}


def _highest(folder: Path) -> int | None:
    """Return the highest value of masks in their usual places; None: no 0, or other masks."""
    values: set[int] = set()
    for place in (folder, *(folder / part for part in ("train", "test"))):
        for path in images_below(place / "masks") if (place / "masks").is_dir() else ():
            try:
                with Image.open(path) as mask:
                    if mask.mode not in ("L", "P", "1"):
                        return None
                    values.update(np.unique(np.asarray(mask)).tolist())
            except OSError:  # whoever reads the masks tells
                continue
    return max(values - {IGNORE}, default=None) if 0 in values else None


def _json(content: Any) -> tuple[dict[str, str], dict[str, int]]:
    """Read `{name: 1}`, `{"1": name}`, `{name: "#ff0000"}`, `{name: [255, 0, 0]}`, or entries."""
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        content = content["labels"]
    if isinstance(content, list):
        content = {
            one["name"]: one.get("color", one.get("value", one.get("id"))) for one in content
        }
    if not isinstance(content, dict):
        return {}, {}
    if content and all(str(key).isdecimal() and isinstance(v, str) for key, v in content.items()):
        content = {name: int(value) for value, name in content.items()}
    if all(type(value) is int for value in content.values()):
        return {}, dict(content)
    if all(isinstance(value, list) and len(value) >= 3 for value in content.values()):
        return {name: _hex(value[:3]) for name, value in content.items()}, {}
    if all(isinstance(value, str) and value.startswith("#") for value in content.values()):
        return {name: value[:7].lower() for name, value in content.items()}, {}
    return {}, {}  # a file of another kind that is called so


def _hex(parts: Iterable[Any]) -> str:
    red, green, blue = (int(part) for part in parts)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _with_colors(recipe: Recipe, colors: dict[str, str]) -> Recipe:
    named = [name for name in colors if name.lower() not in BACKGROUND]
    classes = tuple(named) if recipe.classes == UNNAMED else recipe.classes
    known = {
        name if name in classes else "background": color
        for name, color in colors.items()
        if name in classes or name.lower() in BACKGROUND
    }
    others = [color for name, color in colors.items() if name not in known and name in named]
    listed = [*known.items(), *(("background", color) for color in others)]
    text = ",".join(f"{name}={color}" for name, color in listed)
    return replace(recipe, classes=classes, colors=text) if text else recipe


def _with_values(recipe: Recipe, values: dict[str, int], file: Path) -> Recipe:
    """Give values their classes by name; of names that are no class of the recipe, background."""
    named = [
        name for name, value in values.items() if name.lower() not in BACKGROUND and value != 0
    ]
    classes = tuple(named) if recipe.classes == UNNAMED else recipe.classes
    if not set(classes) <= set(named):
        if set(classes) & set(named):
            lacking = next(name for name in classes if name not in named)
            raise InputError(f"{file}: names no class '{lacking}', only {', '.join(named)}")
        warn(f"{file}: names {', '.join(named)}, none of --classes; it is not used")
        return recipe
    table = {
        value: list(classes).index(name) + 1 if name in classes else 0
        for name, value in values.items()
    }
    if all(value == number for value, number in table.items()):
        return replace(recipe, classes=classes)
    return replace(recipe, classes=classes, mask_values={0: 0} | table)
