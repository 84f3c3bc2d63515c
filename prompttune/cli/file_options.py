"""Options that say how files are to be read, where it cannot be seen."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.data.class_names import class_names
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.data.mask_forms import MaskOptions
    from prompttune.data.reading import ImageOptions

MASK_KINDS = ("auto", "index", "gray", "instances", "alpha", "colors")


def add_image_options(group: argparse._ArgumentGroup) -> None:
    """Add what `image_options` reads."""
    group.add_argument(
        "--bands", metavar="R,G,B",
        help="of images with several: one, or three, counted from 1 (default: the first three)",
    )  # fmt: skip
    group.add_argument(
        "--stretch", metavar="LOW,HIGH",
        help="what of deep images becomes black to white; or image (each its own), or full "
        "(default: the key's; else full, or image where a picture uses little of 16 bits)",
    )  # fmt: skip


def add_pages_option(group: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add `--pages`, which `ChosenPages.of` reads."""
    group.add_argument(
        "--pages", metavar="N,N-M", help="of stacks: these pages alone, from 1, as 3,5-9"
    )


def add_mask_options(group: argparse._ArgumentGroup) -> None:
    """Add what `mask_options` reads."""
    group.add_argument(
        "--mask_kind", choices=MASK_KINDS, default="auto",
        help="what the masks' values are, where it cannot be seen (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--mask_values", metavar="JSON", help='class of each value: {"0": 1, ...}')
    group.add_argument(
        "--colors", metavar="NAME=#RRGGBB,...", help="of colored masks: which is which class"
    )
    group.add_argument(
        "--resize_masks", action="store_true",
        help="scale masks of another size than their images",
    )  # fmt: skip


def image_options(
    given: argparse.Namespace, recipes: Sequence[Mapping[str, Any]] = ()
) -> "ImageOptions":
    """Return how images are read: as the command line says, else as the keys do.

    Args:
        given: with `bands` and `stretch`.
        recipes: from the cards of the keys in use.

    Raises:
        InputError: options that are none, or keys that were tuned with different ones.
    """
    from prompttune.prompts.reading import options_of

    return options_of(recipes, given.bands, given.stretch)


def mask_options(given: argparse.Namespace, classes: Sequence[str] | None) -> "MaskOptions":
    """Return how masks are understood.

    Args:
        given: with `mask_kind`, `mask_values` and `colors`.
        classes: names of the classes; None: those that `colors` names.

    Raises:
        InputError: options that are none.
    """
    from prompttune.data.mask_forms import MaskOptions
    from prompttune.data.masks import parse_colors

    colors = None
    if given.colors is not None:
        colors = parse_colors(given.colors, classes or named_by_colors(given.colors))
    values = read_values(given.mask_values)
    return MaskOptions(given.mask_kind, values, colors, given.resize_masks)


def named_by_colors(colors: str) -> tuple[str, ...]:
    """Return the classes that `--colors` names.

    Raises:
        InputError: not such a list.
    """
    from prompttune.data.class_names import BACKGROUND
    from prompttune.data.masks import color_pairs

    names = dict.fromkeys(name for name, _ in color_pairs(colors))
    return class_names(n for n in names if n.lower() not in (*BACKGROUND, "ignore", "void"))


def read_values(text: str | None) -> dict[int, int] | None:
    """Read `--mask_values`.

    Raises:
        InputError: not a mapping of numbers.
    """
    if text is None:
        return None
    from prompttune.utils.malformed import load_yaml

    try:
        content = load_yaml(text, "--mask_values")
        return {int(value): int(index) for value, index in content.items()}
    except (AttributeError, TypeError, ValueError, InputError):
        raise InputError(
            f"--mask_values '{text}': give the class of each value, such as '{{0: 0, 128: 1}}'"
        ) from None


def cards_of(names: Sequence[str], zoo: Path | None) -> list[dict[str, Any]]:
    """Return the recipes in the cards of keys; of one that has no card, nothing."""
    from prompttune.keys.header import load_card
    from prompttune.zoo.store import find_key

    found = []
    for name in names:
        try:
            found.append(json.loads(json.dumps(load_card(find_key(name, zoo)).recipe)))
        except InputError:  # loading the key itself says what is wrong
            found.append({})
    return found
