"""Find the images and masks (or annotations) of a data folder, and split them into parts."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np

from prompttune.data.annotations import find_annotated
from prompttune.data.annotations_things import Annotation, Painting, class_numbers
from prompttune.data.reading import read_field_of_view, read_image, read_mask
from prompttune.errors import InputError
from prompttune.recipes import Recipe

TEST_FRACTION = 0.2
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_LAYOUTS = (
    "train/ and test/ with images/ + masks/ [+ fov/] each; images/ + masks/ [+ fov/]; DRIVE's "
    "training/ and test/ with images/ + 1st_manual/ + mask/; CHASE_DB1's Image_01L.jpg + "
    "Image_01L_1stHO.png; or annotations.json (COCO) or labelme's files in place of masks/"
)


@dataclass(frozen=True)
class Sample:
    """The files of one image: its mask, and its field of view where it has one."""

    name: str
    image: Path
    mask: Path
    """Or the JSON file that annotates it."""
    field_of_view: Path | None = None
    painting: Painting | None = field(default=None, compare=False, repr=False)
    """What the JSON file says of the image; it is painted when the sample is loaded."""


@dataclass(frozen=True)
class Split:
    """Disjoint parts of a data folder (`val` repeats `train` where that has fewer than 3 images).

    `test` is empty where the folder has no test masks, or too few images to set any aside.
    `layout` says in words how the folder was read.
    """

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    layout: str


@dataclass(frozen=True)
class LoadedSample:
    """One image (`H x W x 3 uint8`), class map (`H x W uint8`) and field of view (`H x W bool`).

    Class map: 0 background, i the i-th class, 255 ignore. It does not have the field of view in it.
    """

    name: str
    image: np.ndarray
    class_map: np.ndarray
    field_of_view: np.ndarray | None = None


def find_split(
    folder: str | Path,
    seed: int = 0,
    val_fraction: float = 0.2,
    images: int | None = None,
    classes: Sequence[str] = Recipe.classes,
) -> Split:
    """Find the samples of a folder in one of the known layouts and split them by `seed`.

    - `train/` and `test/`, each `images/` + `masks/` with equal stems, optional `fov/`;
    - the same without parts, `images/` + `masks/`: a fifth becomes `test`;
    - DRIVE's release: `training/images/21_training.tif`, `training/1st_manual/21_manual1.gif`,
      `training/mask/21_training_mask.gif` (the field of view), `test/` likewise, where masks may
      be missing (then `test` is empty);
    - CHASE_DB1's release: `Image_01L.jpg`, `Image_01L_1stHO.png` (first observer) in one folder: a
      fifth of the children becomes `test`; both eyes of a child stay in one part;
    - the first two with annotations in place of `masks/`, where `images/` may be left out too:
      COCO's `annotations.json`, or a labelme file for each image (`data.annotations`).

    Of what is left for training, `val_fraction` becomes `val`, at least one image; with fewer than
    3 images `val` is `train`. The parts depend on seed and names alone, not on the file system.
    With `images` only so many, chosen by seed, are left for `train` and `val` together; the same
    ones are among those of a larger number, and `test` stays as it is. `classes` names those that
    annotations are painted of; masks have numbers and need no names.

    Raises:
        InputError: missing folder, unknown layout, no images, an image or mask without partner,
            fewer images for training than `images`, annotations that are none or lack a class.
    """
    folder = Path(folder)
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    train, test, layout, group = _find(folder, classes)
    if test is None:
        test, train = _split_off(train, TEST_FRACTION, seed, group)
    if images is not None:
        train = _few(train, images, seed, folder)
    val, train = _split_off(train, val_fraction, seed, group)
    return Split(tuple(train), tuple(val or train), tuple(test), layout)


def _find(
    folder: Path, classes: Sequence[str]
) -> tuple[Sequence[Sample], Sequence[Sample] | None, str, Callable[[Sample], str]]:
    """Return a folder's training samples, its test samples (None: split them off), its layout."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if (folder / "train").is_dir():
        if drawn := _annotated([folder / "train", folder / "test"], classes):
            (train, test), kind = drawn
            return train, test, f"train/ and test/ with {kind}", _alone
        train, test = _pairs(folder / "train"), _pairs(folder / "test")
        return train, test, "train/ and test/ with images/ + masks/", _alone
    if (folder / "training" / "1st_manual").is_dir():
        train, test = _drive(folder / "training"), ()
        if (folder / "test" / "1st_manual").is_dir():
            test = _drive(folder / "test")
        return train, test, "DRIVE's release", _alone
    if samples := _chase(folder):
        return samples, None, "CHASE_DB1's release, children split by seed", _child
    if drawn := _annotated([folder], classes):
        (samples,), kind = drawn
        return samples, None, f"{kind}, split by seed", _alone
    if (folder / "images").is_dir():
        return _pairs(folder), None, "images/ + masks/, split by seed", _alone
    raise InputError(f"{folder}: holds no known layout; it should have {_LAYOUTS}")


def load_sample(
    sample: Sample, classes: int, values: Mapping[int, int] | None = None
) -> LoadedSample:
    """Read the files of a sample; `classes` and `values` as `read_mask` takes them.

    Raises:
        InputError: a file that cannot be read, a mask or field of view of another size, outlines
            that do not fit.
    """
    image = read_image(sample.image)
    if sample.painting is not None:
        height, width = image.shape[:2]
        return LoadedSample(sample.name, image, sample.painting.class_map((height, width)))
    class_map = read_mask(sample.mask, classes, values)
    _check_size(sample.image, image, sample.mask, class_map)
    if sample.field_of_view is None:
        return LoadedSample(sample.name, image, class_map)
    field_of_view = read_field_of_view(sample.field_of_view)
    _check_size(sample.image, image, sample.field_of_view, field_of_view)
    return LoadedSample(sample.name, image, class_map, field_of_view)


def _check_size(image: Path, pixels: np.ndarray, other: Path, mask: np.ndarray) -> None:
    if pixels.shape[:2] != mask.shape:
        sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (pixels, mask)]
        raise InputError(
            f"{image} has {sizes[0]} pixels (width x height), but {other} has {sizes[1]}; "
            "they must have equal sizes"
        )


def _few(samples: Sequence[Sample], count: int, seed: int, folder: Path) -> list[Sample]:
    if not 1 <= count <= len(samples):
        raise InputError(
            f"{folder}: {count} images asked for, {len(samples)} are there for training"
        )
    return sorted(samples, key=lambda sample: _rank(seed, sample.name))[:count]


def _split_off(
    samples: Sequence[Sample], fraction: float, seed: int, group: Callable[[Sample], str]
) -> tuple[list[Sample], list[Sample]]:
    """Return `fraction` of the samples (at least one group) and the rest; none of fewer than 3."""
    keys = sorted({group(sample) for sample in samples}, key=lambda key: _rank(seed, key))
    count = max(1, round(fraction * len(keys))) if len(keys) > 2 else 0
    taken = set(keys[: min(count, len(keys) - 1)])
    ordered = sorted(samples, key=lambda sample: sample.name)
    return (
        [sample for sample in ordered if group(sample) in taken],
        [sample for sample in ordered if group(sample) not in taken],
    )


def _pairs(folder: Path) -> tuple[Sample, ...]:
    """Pair `images/`, `masks/` and, where it exists, `fov/` by stem."""
    images, masks = _files(folder / "images"), _files(folder / "masks")
    fields = _files(folder / "fov") if (folder / "fov").is_dir() else None
    return _matched(folder, images, masks, fields)


def _annotated(
    parts: Sequence[Path], classes: Sequence[str]
) -> tuple[list[tuple[Sample, ...]], str] | None:
    """Return the samples of annotated parts and the annotations' kind; None where masks lie.

    The first part alone must show every class.
    """
    if (parts[0] / "masks").is_dir():
        return None
    found = [find_annotated(part, SUFFIXES) for part in parts if part.is_dir()]
    if found[0] is None:
        return None
    numbers = class_numbers(found[0].annotations, classes, parts[0])
    samples = []
    for part, annotated in zip_longest(parts, found):
        if annotated is None:
            raise InputError(f"{part}: has no annotations, but {parts[0].name}/ beside it has")
        samples.append(tuple(_painted(part, each, numbers) for each in annotated.annotations))
        names = Counter(sample.name for sample in samples[-1])
        if twice := sorted(name for name, times in names.items() if times > 1):
            raise InputError(f"{part}: two of its annotated images are '{twice[0]}'; keep one")
    return samples, found[0].kind


def _painted(part: Path, annotation: Annotation, numbers: Mapping[str, int]) -> Sample:
    folder = part / "images" if (part / "images").is_dir() else part
    name = annotation.image.relative_to(folder).with_suffix("").as_posix()
    painting = Painting.of(annotation, numbers)
    return Sample(name, annotation.image, annotation.file, painting=painting)


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


def _rank(seed: int, key: str) -> str:
    """Shuffle by `seed`, the same on every machine and for every version of numpy."""
    return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()


def _alone(sample: Sample) -> str:
    return sample.name


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
        Sample(images[key].stem, images[key], masks[key], fields[key] if fields else None)
        for key in sorted(images)
    )


def _check_partners(files: dict[str, Path], partners: dict[str, Path], kind: str) -> None:
    lacking = sorted(set(files) - set(partners))
    if lacking:
        others = f" (nor have {len(lacking) - 1} others)" if len(lacking) > 1 else ""
        raise InputError(f"{files[lacking[0]]}: has no {kind}{others}; add it or take the file out")
