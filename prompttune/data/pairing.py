"""Pair images with masks by their names: equal stems, or one prefix or suffix that all share."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prompttune.utils.errors import InputError
from prompttune.utils.image_files import JPEG, PNG, SUFFIXES, TIFF, images_below, path_key, stem_of

_MASK_WORDS = (
    "masks", "mask", "labels", "label", "lbl", "segmentations", "segmentation", "seg", "gt",
    "groundtruth", "ground_truth", "annotation", "anno", "matte", "target", "m",
)  # fmt: skip
_IMAGE_WORDS = ("images", "image", "img", "im", "photo", "rgb", "raw", "input", "sat")
SEPARATORS = r"[_\-. ]"
_TRIED = 5
"""Masks that are looked at for a prefix and suffix: some may have no image."""


def stems_below(folder: Path) -> dict[str, Path]:
    """Return the images of a folder and of those in it, by their path without the ending.

    Raises:
        InputError: no such folder, or two files of one stem.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in images_below(folder):
        stem = (path.parent / stem_of(path)).relative_to(folder).as_posix()
        stem = unicodedata.normalize("NFC", stem)  # macOS writes accents apart from their letters
        if stem in found:
            raise InputError(f"{path} and {found[stem].name} beside it are both '{stem}'; keep one")
        found[stem] = path
    return found


def renamed(
    images: Mapping[str, Path], masks: Mapping[str, Path], pattern: str | None = None
) -> tuple[dict[str, Path], dict[str, Path], str]:
    """Give images and masks common keys.

    Args:
        images: by stem.
        masks: by stem.
        pattern: a mask's name with `{stem}` for the image's, such as `{stem}_mask.png`; None:
            found by the names.

    Returns:
        Images and masks by key, and in words how names differ (empty where they do not).

    Raises:
        InputError: a pattern without `{stem}`, or that two masks fit for one image.
    """
    images, masks = dict(images), dict(masks)
    if pattern is not None:
        return images, _by_pattern(images, masks, pattern), f"masks {pattern}"
    if not images or not masks or set(images) & set(masks):
        return images, masks, ""
    if affix := _shared_affix(images, masks):
        prefix, suffix = affix
        return images, _stripped(masks, prefix, suffix), f"masks {prefix}{{stem}}{suffix}"
    by_words = [_without_words(*each) for each in ((images, _IMAGE_WORDS), (masks, _MASK_WORDS))]
    for one, other in (by_words, [_without_common(images), _without_common(masks)]):
        if one and one.keys() == other.keys():
            first = next(iter(one))
            return one, other, f"paired like {one[first].name} + {other[first].name}"
    return images, masks, ""


def layers(
    images: Mapping[str, Path], masks: Mapping[str, Path], classes: Sequence[str]
) -> dict[str, tuple[tuple[Path, int], ...]] | None:
    """Find several masks an image, one for each class: `crack/0.png`, `0_crack.png`, `crack_0.png`.

    Returns:
        For each image the masks and the numbers of their classes, of those that are there; None
        where masks are named otherwise.
    """
    if len(classes) < 2 or set(images) & set(masks):
        return None
    found: dict[str, list[tuple[Path, int]]] = {stem: [] for stem in images}
    for stem, path in masks.items():
        owner = next(
            (
                (own, number)
                for number, name in enumerate(classes, 1)
                for own in _without_class(stem, name)
                if own in found
            ),
            None,
        )
        if owner is None:
            return None
        found[owner[0]].append((path, owner[1]))
    shown = {number for each in found.values() for _, number in each}
    if len(shown) < len(classes):
        return None
    return {stem: tuple(sorted(each, key=lambda one: one[1])) for stem, each in found.items()}


def things_of(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    classes: Sequence[str],
    even_one: bool = False,
) -> dict[str, tuple[tuple[Path, int], ...]] | None:
    """Find several masks an image, one for each thing of the only class: `0_1.png`, `0/1.png`.

    Args:
        images: by stem.
        masks: by stem.
        classes: more than one: masks are named otherwise.
        even_one: also where no image has more than one.

    Returns:
        For each image its masks, with the class's number; None where masks are named otherwise.
    """
    if len(classes) != 1 or set(images) & set(masks):
        return None
    found: dict[str, list[tuple[Path, int]]] = {stem: [] for stem in images}
    for stem, path in masks.items():
        ends = [match.start() for match in re.finditer(rf"/|{SEPARATORS}", stem)]
        owner = next((stem[:end] for end in reversed(ends) if stem[:end] in found), None)
        if owner is None:
            return None
        found[owner].append((path, 1))
    if not even_one and max(map(len, found.values()), default=0) < 2:
        return None
    return {stem: tuple(own) for stem, own in found.items()}


def sample_folders(folder: Path) -> tuple[dict[str, Path], dict[str, Path]] | None:
    """Find a folder for each image, with one file in `images/` and its masks in `masks/`.

    Returns:
        Images by the name of their folder, and masks by `folder/stem`; None where it is otherwise.
    """
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for own in sorted(each for each in folder.iterdir() if each.is_dir()):
        if not ((own / "images").is_dir() and (own / "masks").is_dir()):
            continue
        files = [path for path in sorted((own / "images").iterdir()) if _is_image_file(path)]
        if len(files) != 1:
            return None
        images[own.name] = files[0]
        drawn = (path for path in sorted((own / "masks").iterdir()) if _is_image_file(path))
        masks |= {f"{own.name}/{path.stem}": path for path in drawn}
    return (images, masks) if len(images) > 1 else None


def _without_class(stem: str, name: str) -> list[str]:
    """Return what a mask's stem may be without the name of a class."""
    pattern = rf"(?i)^{re.escape(name)}(?:/|{SEPARATORS}+)|(?:/|{SEPARATORS}+){re.escape(name)}$"
    shorter = re.sub(pattern, "", stem, count=1)
    inside = re.sub(rf"(?i)(?:^|/){re.escape(name)}/", "/", stem, count=1).lstrip("/")
    return [each for each in (shorter, inside) if each != stem]


def masks_beside(folder: Path) -> list[Path]:
    """Return the masks that lie in one folder with their images, by a word in their names."""
    files = [path for path in sorted(folder.iterdir(), key=path_key) if _is_image_file(path)]
    stems = {path.stem for path in files}
    return [
        path
        for path in files
        if (own := _without_word(path.stem, _MASK_WORDS)) != path.stem and own in stems
    ]


def is_called_mask(stem: str) -> bool:
    """Say whether a name has a word for masks, or is one: `7_mask`, `mask`, `Segmentation`."""
    return stem.lower() in _MASK_WORDS or _without_word(stem, _MASK_WORDS) != stem


def side_by_side(folder: Path) -> tuple[dict[str, Path], dict[str, Path], str] | None:
    """Find pairs such as `scan0.jpg` + `scan0_mask.png`, or `a.jpg` + `a.png`, in one folder.

    Returns:
        Images and masks by key and in words how they are named; None where there are none.
    """
    files = [path for path in sorted(folder.iterdir(), key=path_key) if _is_image_file(path)]
    masks = [path for path in files if _without_word(path.stem, _MASK_WORDS) != path.stem]
    others = {path.stem: path for path in files if path not in masks}
    if masks and others and len(others) + len(masks) == len(files):
        images, marked, said = renamed(others, {path.stem: path for path in masks})
        if said and images.keys() & marked.keys():
            return images, marked, said
    photos = {path.stem: path for path in files if path.suffix.lower() in JPEG}
    drawn = {path.stem: path for path in files if path.suffix.lower() in PNG | TIFF}
    if photos and photos.keys() == drawn.keys() and len(files) == 2 * len(photos):
        first = next(iter(photos))
        return photos, drawn, f"paired like {photos[first].name} + {drawn[first].name}"
    return None


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _by_pattern(
    images: Mapping[str, Path], masks: Mapping[str, Path], pattern: str
) -> dict[str, Path]:
    if "{stem}" not in pattern:
        raise InputError(
            f"--mask_pattern '{pattern}': must hold {{stem}}, such as {{stem}}_mask.png"
        )
    bare = pattern if Path(pattern).suffix.lower() not in SUFFIXES else str(Path(pattern).stem)
    found = {}
    for stem in images:
        folder, _, name = stem.rpartition("/")
        wanted = bare.replace("{stem}", name)
        key = f"{folder}/{wanted}" if folder else wanted
        if key in masks:
            found[stem] = masks[key]
    return found


def _shared_affix(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, str] | None:
    """Find what all masks' stems have before and after an image's, as short as it can be."""
    names = [Path(stem).name for stem in masks]
    before, after = _common_start(names), _common_start([name[::-1] for name in names])[::-1]
    stems = {Path(stem).name for stem in images}
    lengths = sorted(
        ((p, s) for p in range(len(before) + 1) for s in range(len(after) + 1) if p + s), key=sum
    )
    for (p, s), name in itertools.product(lengths, names[:_TRIED]):
        key = name[p : len(name) - s]
        if p + s < len(name) and (key in stems or _original(key) in stems):
            prefix, suffix = name[:p], name[len(name) - s :]
            found = _stripped(masks, prefix, suffix)
            if len(found) == len(masks) and len(found.keys() & images.keys()) >= len(masks) / 2:
                return prefix, suffix
    return None


def _common_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def _original(name: str) -> str:
    """Return a stem without the ending of an image that it still has: `0.jpg` of `0.jpg.png`."""
    path = Path(name)
    return path.stem if path.suffix.lower() in SUFFIXES else name


def _stripped(masks: Mapping[str, Path], prefix: str, suffix: str) -> dict[str, Path]:
    found = {}
    for stem, path in masks.items():
        folder, slash, name = stem.rpartition("/")
        if name.startswith(prefix) and name.endswith(suffix):
            inner = _original(name[len(prefix) : len(name) - len(suffix)])
            found[f"{folder}{slash}{inner}"] = path
    return found


def _without_common(files: Mapping[str, Path]) -> dict[str, Path]:
    """Leave out the words that all names begin and end with; empty where that leaves too little."""
    words = [re.split(f"({SEPARATORS}+)", Path(stem).name) for stem in files]
    if len(words) < 2:
        return {}
    shortest = min(map(len, words))
    before = _equal(words, range(shortest))
    after = _equal(words, range(-1, -1 - shortest, -1))
    cut = [each[before : len(each) - after] for each in words]
    found = {"".join(each): path for each, path in zip(cut, files.values(), strict=True)}
    return found if len(found) == len(files) and all(cut) else {}


def _equal(words: Sequence[Sequence[str]], places: Iterable[int]) -> int:
    """Count places from the first on at which all have the same word."""
    same = itertools.takewhile(lambda place: len({each[place] for each in words}) == 1, places)
    return len(list(same))


def _without_words(files: Mapping[str, Path], words: Sequence[str]) -> dict[str, Path]:
    """Leave out the word that says what a file is; empty where that makes two names one."""
    found = {_without_word(stem, words): path for stem, path in files.items()}
    return found if len(found) == len(files) else {}


def _without_word(stem: str, words: Sequence[str]) -> str:
    listed = "|".join(words)
    long = "|".join(word for word in words if len(word) > 1)
    ends = (
        rf"^(?:{listed}){SEPARATORS}+",  # mask_1, GT_1
        rf"{SEPARATORS}+(?:{listed})(?={SEPARATORS}|$)",  # 1_mask
        rf"^(?:{long})(?=\d)",  # mask1
        rf"(?<=\d)(?:{long})$",  # 1mask, 1Mask
    )
    shorter = re.sub(f"(?i){'|'.join(ends)}", "", stem, count=1)
    return shorter or stem
