"""Vessels of the retina: DRIVE, CHASE_DB1, STARE, and HRF, as their owners distribute them."""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import (
    check_size,
    files_in,
    read_foreground,
    read_rgb,
    require,
    require_files,
    source,
)
from prompttune.protocols.protocol import Benchmark, Options, Protocol
from prompttune.protocols.semantic import Semantic, SemanticSet
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import JPEG


@dataclass(frozen=True)
class Eye:
    """Where an image lies, its vessels, and its field of view if the set has one."""

    image: Path
    vessels: Path
    field: Path | None = None


Parts = tuple[dict[str, Eye], dict[str, Eye]]
"""Training and test images by their names."""


def open_set(
    find: Callable[[Path], Parts], root: Path, segmenter: Segmenter, options: Options
) -> Benchmark:
    """Open a set; what `find` finds in it."""
    train, test = find(root)
    eyes = train | test
    if not train or not test:
        counts = f"{len(train)} training and {len(test)} test images"
        raise InputError(f"{root}: has {counts}; copy the set again")

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        eye = eyes[name]
        image = _read(eye.image)
        truth = _mask(eye.vessels, image).astype(np.uint8)
        if eye.field is not None:
            truth[~_mask(eye.field, image)] = IGNORE
        return image, truth

    given = SemanticSet(("vessel",), list(train), list(test), load, background=True)
    return Semantic(segmenter, given, options)


def _read(path: Path) -> np.ndarray:
    if path.suffix != ".gz":
        return read_rgb(path)
    try:
        with Image.open(io.BytesIO(gzip.decompress(path.read_bytes()))) as image:
            return np.asarray(image.convert("RGB"))
    except Exception:  # what is damaged may fail in any way
        raise InputError(f"{path}: is no image that can be read; copy the set again") from None


def _mask(path: Path, image: np.ndarray) -> np.ndarray:
    if path.suffix != ".gz":
        return read_foreground(path, image.shape)
    mask = _read(path)[..., 0] >= 128
    check_size(path, mask, image.shape)
    return mask


def find_drive(root: Path) -> Parts:
    """Find `training/{images,1st_manual,mask}` and `test/...`; or `train/{images,masks,fov}`."""
    if (root / "train/images").is_dir():
        return _plain(root, "train"), _plain(root, "test")
    kinds = ("images", "1st_manual", "mask")
    require(root, DRIVE, [f"{part}/{kind}" for part in ("training", "test") for kind in kinds])
    parts = []
    for part in ("training", "test"):
        eyes = {}
        for path in files_in(root / part / "images", "*.tif"):
            number = path.stem.split("_")[0]
            vessels = root / part / "1st_manual" / f"{number}_manual1.gif"
            field = root / part / "mask" / f"{path.stem}_mask.gif"
            eyes[path.stem] = Eye(path, vessels, field)
        masks = files_in(root / part / "1st_manual", "*_manual1.gif")
        parts.append(_checked(root, DRIVE, eyes, masks))
    return parts[0], parts[1]


def _plain(root: Path, part: str) -> dict[str, Eye]:
    """Find images, masks, and fields of view in folders of those names."""
    require(root, DRIVE, [f"{part}/{kind}" for kind in ("images", "masks", "fov")])
    eyes = {}
    for path in files_in(root / part / "images", "*.tif"):
        number = path.stem.split("_")[0]
        beside = [files_in(root / part / kind, f"{number}_*.gif") for kind in ("masks", "fov")]
        if not all(beside):
            raise InputError(f"{path}: has no mask or no field of view; copy the set again")
        eyes[path.stem] = Eye(path, beside[0][0], beside[1][0])
    return _checked(root, DRIVE, eyes, files_in(root / part / "masks", "*.gif"))


def find_chase(root: Path) -> Parts:
    """Find `Image_<01..14><L|R>.jpg` and `..._1stHO.png`: the first 20 train, the last 8 test."""
    eyes = {
        path.stem: Eye(path, root / f"{path.stem}_1stHO.png")
        for path in files_in(root, "Image_[0-9][0-9][LR].jpg")
    }
    names = list(_checked(root, CHASE, eyes, files_in(root, "*_1stHO.png")))
    return _parted(eyes, [name for name in names if int(name.split("_")[1][:2]) <= 10])


def find_stare(root: Path) -> Parts:
    """Find `stare-images/im*.ppm[.gz]` and `labels-ah/im*.ah.ppm[.gz]`: the first 10 train."""
    require(root, STARE, ["stare-images", "labels-ah"])
    eyes = {}
    for path in files_in(root / "stare-images", "im*.ppm*"):
        name, dot, rest = path.name.partition(".")
        eyes[name] = Eye(path, root / "labels-ah" / f"{name}.ah{dot}{rest}")
    _checked(root, STARE, eyes, files_in(root / "labels-ah", "im*.ah.ppm*"))
    return _parted(eyes, list(eyes)[:10])


def find_hrf(root: Path) -> Parts:
    """Find `{images,manual1,mask}/<number>_<h|dr|g>.*`: the first 5 of each kind train."""
    require(root, HRF, ["images", "manual1", "mask"])
    eyes = {}
    for path in files_in(root / "images", "[0-9][0-9]_*.*"):
        if path.suffix.lower() in JPEG:
            name = path.stem
            field = root / "mask" / f"{name}_mask.tif"
            eyes[name] = Eye(path, root / "manual1" / f"{name}.tif", field)
    _checked(root, HRF, eyes, files_in(root / "manual1", "*.tif"))
    return _parted(eyes, [name for name in eyes if int(name.split("_")[0]) <= 5])


def _checked(
    root: Path, protocol: Protocol, eyes: dict[str, Eye], masks: list[Path]
) -> dict[str, Eye]:
    """Refuse a set that lacks masks of images, or images of masks: scores would be of another."""
    if not eyes:
        require(root, protocol, ["its images"])
    fields = [eye.field for eye in eyes.values() if eye.field is not None]
    require_files(root, protocol, [*(eye.vessels for eye in eyes.values()), *fields])
    if alone := sorted(set(masks) - {eye.vessels for eye in eyes.values()}):
        raise InputError(f"{alone[0]}: is the mask of no image; {source(protocol)}")
    return eyes


def _parted(eyes: dict[str, Eye], train: list[str]) -> Parts:
    rest = {name: eye for name, eye in eyes.items() if name not in train}
    return {name: eyes[name] for name in train}, rest


def _protocol(
    name: str, title: str, home: str, find: Callable[[Path], Parts], split: str
) -> Protocol:
    return Protocol(
        name=name,
        title=title,
        home=home,
        terms="for research; cite, and do not pass on",
        open=partial(open_set, find),
        takes_key="may",
        how=f"{split}; examples of the training images, at the scale that fits them; Dice and IoU "
        "of the vessels over all test pixels in the field of view, threshold .5",
    )


DRIVE = _protocol(
    "drive", "DRIVE", "drive.grand-challenge.org", find_drive,
    "the official 20 test images",
)  # fmt: skip
CHASE = _protocol(
    "chase", "CHASE_DB1", "blogs.kingston.ac.uk/retinal/chasedb1", find_chase,
    "the last 8 of 28 images",
)  # fmt: skip
STARE = _protocol(
    "stare", "STARE", "cecas.clemson.edu/~ahoover/stare", find_stare,
    "the last 10 of 20 images",
)  # fmt: skip
HRF = _protocol(
    "hrf", "HRF", "www5.cs.fau.de/research/data/fundus-images", find_hrf,
    "30 of 45 images, all but the first 5 of each kind",
)  # fmt: skip
