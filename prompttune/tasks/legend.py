"""Legends that tools write beside coloured masks: which color is which class."""

from dataclasses import replace
from pathlib import Path

from prompttune.data.class_names import BACKGROUND, UNNAMED
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError

CVAT = "labelmap.txt"


def read_legend(recipe: Recipe, folder: Path) -> Recipe:
    """Take colors, and classes where none were named, from CVAT's `labelmap.txt` in a folder.

    Its lines are `label:red,green,blue:parts:actions`. What the user said wins.

    Raises:
        InputError: a file of other lines.
    """
    file = folder / CVAT
    if recipe.colors is not None or recipe.mask_values is not None or not file.is_file():
        return recipe
    colors: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, color, *_ = line.split(":")
            red, green, blue = (int(part) for part in color.split(","))
        except ValueError:
            raise InputError(
                f"{file}: no legend in the line '{line[:60]}'; give --colors crack=#ff0000"
            ) from None
        colors[name.strip()] = f"#{red:02x}{green:02x}{blue:02x}"
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
