"""Two folders of equal names beside each other, of which one is called as masks are."""

import re
from pathlib import Path

from prompttune.data.pairing import renamed
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import images_below, is_hidden, stem_of

KNOWN_PAIRS = (
    ("input", "output"), ("inputs", "outputs"), ("x", "y"), ("source", "target"), ("sat", "map"),
)  # fmt: skip
"""Names that say which holds masks only together."""
_MASK_WORDS = frozenset(
    {
        "mask", "masks", "label", "labels", "lbl", "lbls", "lab", "labs", "labelcol", "seg", "segs",
        "segmentation", "segmentations", "gt", "gts", "groundtruth", "annotation", "annotations",
        "ann", "anns", "anno", "annos", "annot", "annots", "target", "targets", "matte", "mattes",
    }
)  # fmt: skip
_SHOWN = frozenset({"overlay", "overlays", "vis", "viz", "preview", "previews", "visualization"})
"""Of folders with pictures of masks, which are to be looked at alone."""
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_LEAST = 3
"""Pairs of equal names that show that two folders belong together."""


def two_folders(folder: Path) -> tuple[Path, Path] | None:
    """Find a folder of images and one of masks where neither has a name that says so alone.

    There must be one folder that is called as masks are (a word of `masks_png`, `cell-labels`) and
    one other with images, or a pair such as `input/` + `output/` or `x/` + `y/`; and three files
    or more, and half of all masks, must have equal stems, but for what all masks' names add.

    Args:
        folder: that holds both.

    Returns:
        The folders of images and of masks; None where there are no such two.
    """
    if not folder.is_dir():
        return None
    inside = {
        path.name.lower(): path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not is_hidden(path) and path.name.lower() not in _PARTS
    }
    for images, masks in KNOWN_PAIRS:
        if images in inside and masks in inside and _pair(inside[images], inside[masks]):
            return inside[images], inside[masks]
    shown = {name for name in inside if _words(name) & _SHOWN}
    called = [
        path for name, path in inside.items() if _words(name) & _MASK_WORDS and name not in shown
    ]
    others = [
        path for name, path in inside.items() if path not in called and name not in {*shown, "fov"}
    ]
    found = [(i, m) for i in others for m in called if _pair(i, m)]
    return found[0] if len(found) == 1 else None


def _words(name: str) -> set[str]:
    return set(re.split(r"[_\-. ]+", name.lower()))


def _pair(images: Path, masks: Path) -> bool:
    """Say whether files of two folders have equal stems, and none is an overlay of ours."""
    one, other = _stems(images), _stems(masks)
    if not one & other:  # or all masks have a word beyond the images' names
        keyed = renamed({stem: images / stem for stem in one}, {s: masks / s for s in other})
        one, other = set(keyed[0]), set(keyed[1])
    shared = one & other
    if any(f"{stem}_overlay" in other for stem in shared):  # what `predict` wrote is no truth
        return False
    return len(shared) >= _LEAST and 2 * len(shared) >= len(other)


def _stems(folder: Path) -> set[str]:
    try:
        return {
            (path.parent / stem_of(path)).relative_to(folder).as_posix()
            for path in images_below(folder)
        }
    except InputError:
        return set()
