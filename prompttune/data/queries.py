"""Images to be segmented: what they are, and whether a key has seen their like."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prompttune.data.decoding import header, page_count
from prompttune.data.reading import ImageOptions
from prompttune.utils.errors import InputError, warn
from prompttune.utils.image_files import stem_of

LARGER, SMALLER = 2.5, 0.6
"""Beyond these factors of the size that a key was tuned at, it finds much less."""


def describe_images(paths: Iterable[Path], options: ImageOptions) -> str:
    """Say in words what images hold: `3 images; 480 x 320; 8-bit RGB`."""
    sizes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    count = pages = 0
    for path in paths:
        count += 1
        head = _header(path)
        if head is None:
            continue
        (width, height), bits, _ = head
        sizes[f"{width} x {height}"] += 1
        kinds[bits] += 1
        pages += page_count(path)
    text = f"{count} image{'s' * (count != 1)}"
    if pages > sizes.total():
        text += f" of {pages} pages"
    text += f"; {_most(sizes)}; {_most(kinds)}"
    if options.bands is not None:
        text += f", bands {', '.join(map(str, options.bands))}"
    elif any("band" in kind for kind in kinds):
        text += " (the first three are shown; --bands takes others)"
    if options.stretch not in (None, "auto"):
        text += f", shown from {options.stretch}"
    return text


def describe_folders(folder: Path, images: Sequence[Path], options: ImageOptions) -> list[str]:
    """Say in a line for each folder inside what it holds, and which may belong together.

    Args:
        folder: that was looked into.
        images: that were found in it.
        options: how they are read.
    """
    inside: dict[str, list[Path]] = {}
    for path in images:
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
        inside.setdefault(parts[0] if len(parts) > 1 else ".", []).append(path)
    if len(inside) < 2:
        return []
    stems = {name: {stem_of(path) for path in own} for name, own in inside.items()}
    lines = []
    for name, own in inside.items():
        said = f"{name}/: {describe_images(own, options)}"
        overlays = sum(f"{stem}_overlay" in stems[name] for stem in stems[name])
        if overlays:
            said += f"; {overlays} have an overlay beside them, as answers of predict do"
        lines.append(said)
    first, *others = stems
    for other in others:
        if shared := len(stems[first] & stems[other]):
            lines.append(
                f"{shared} names are in {first}/ and {other}/; if these are masks, give "
                f"--images_dir {folder / first} --masks_dir {folder / other}"
            )
    return lines


def _most(counted: Counter[str]) -> str:
    more = f" and {len(counted) - 3} others" if len(counted) > 3 else ""
    return ", ".join(name for name, _ in counted.most_common(3)) + more


def _header(path: Path) -> tuple[tuple[int, int], str, bool] | None:
    try:
        return header(path)
    except InputError:  # reading it says what is wrong
        return None


def warn_of_sizes(paths: Iterable[Path], recipes: Sequence[Mapping[str, Any]]) -> None:
    """Warn of image files much larger or smaller than those that a key was tuned on.

    Args:
        paths: of the images.
        recipes: from the cards of the keys; those without `image_size` say nothing.
    """
    if any(recipe.get("image_size") for recipe in recipes):
        heads = (_header(path) for path in paths)
        warn_of_other_sizes([head[0] for head in heads if head is not None], recipes)


def warn_of_other_sizes(
    sizes: Sequence[tuple[int, int]], recipes: Sequence[Mapping[str, Any]]
) -> bool:
    """Warn of images of other sizes than a key was tuned at; return whether there were any.

    Args:
        sizes: width and height of each image, pixels.
        recipes: from the cards of the keys; those without `image_size` say nothing.
    """
    tuned = [tuple(recipe["image_size"]) for recipe in recipes if recipe.get("image_size")]
    if not tuned:
        return False
    width, height = tuned[0]
    factors = [math.sqrt(own[0] * own[1] / (width * height)) for own in sizes]
    other = sorted(factor for factor in factors if not SMALLER <= factor <= LARGER)
    if not other:
        return False
    usual = other[len(other) // 2]
    times = f"{usual:.1f} times as large" if usual > 1 else f"only {usual:.2f} times as large"
    warn(
        f"{len(other)} of {len(factors)} images are {times} a side as those that the key was "
        f"tuned on ({width} x {height}); if they show the same things at another resolution, "
        f"give --resize {1 / usual:.2g} (in Python: prompt.resized({1 / usual:.2g}))"
    )
    return True
