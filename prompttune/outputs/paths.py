"""Which files a prediction reads, and which it writes."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompttune.utils.errors import InputError
from prompttune.utils.image_files import images_below, stem_of
from prompttune.utils.paths import check_folder, real


def find_images(
    paths: Iterable[Path], without: Path | None = None, passed: list[Path] | None = None
) -> list[Path]:
    """Replace folders by the image files in them and below; a file named twice counts once.

    Names are in natural order, `frame_2` before `frame_10`. Hidden files are left out, and so are
    folders of masks beside `images/` and DICOM files of a folder that hold no image.

    Args:
        paths: files and folders.
        without: a folder that is not looked into, such as that of the results.
        passed: gets the folders and files that were passed over, and `without`.

    Raises:
        InputError: a folder without images.
    """
    from prompttune.volumes.opening import is_volume, with_series

    listed = list(paths)
    found: list[Path] = []
    for path in listed:
        files = [path]
        if path.is_dir() and not is_volume(path):
            files = list(images_below(path, without, passed))
            if not files:
                raise InputError(f"{path}: no images in this folder")
        found += files
    once = list({os.path.abspath(path): path for path in found}.values())
    images = with_series(once, set(listed), passed)
    if not images:
        raise InputError(f"{listed[0]}: no images in this folder, only DICOM files without one")
    return images


def name_outputs(
    images: Iterable[Path],
    output: Path,
    kept: Iterable[Path] = (),
    roots: Iterable[Path] = (),
    ending: Callable[[Path], str] = lambda _: ".png",
) -> dict[Path, Path]:
    """Say for each image where its mask goes; the other results lie beside it.

    Args:
        images: of the command.
        output: folder of the results.
        kept: further files that must not be written over.
        roots: folders; what lies in folders below them is written into folders of the same names.
        ending: of an image's mask.

    Raises:
        InputError: two images would be written to one file, a result over an image, or an output
            that cannot become a folder.
    """
    check_folder(output, "--output")
    folders = list(roots)
    masks = {
        image: output / _below(image, folders) / f"{stem_of(image)}{ending(image)}"
        for image in images
    }
    owner: dict[Path, Path] = {}
    for image, mask in masks.items():
        for path in (mask, overlay_path(mask), instances_path(mask)):
            if path in owner:
                raise InputError(
                    f"{owner[path]} and {image} would both be written to {path}; rename one"
                )
            owner[path] = image
    inputs = {real(path) for path in (*masks, *kept)}
    for path in owner:
        if real(path) in inputs:
            raise InputError(
                f"{path}: the result would be written over an input; choose another --output"
            )
    return masks


def _below(image: Path, roots: Iterable[Path]) -> Path:
    """Return the folders between the first root that holds an image and the image."""
    for root in roots:
        if image.is_relative_to(root):
            return image.relative_to(root).parent
    return Path()


def overlay_path(mask: Path) -> Path:
    """Return `DIR/<stem>_overlay.png` for `DIR/<stem>.png`; for TIFF and volumes `.tif`."""
    ending = ".png" if mask.suffix == ".png" else ".tif"
    return mask.with_name(f"{stem_of(mask)}_overlay{ending}")


def instances_path(mask: Path) -> Path:
    """Return `DIR/<stem>_instances.json` for `DIR/<stem>.png` or `.tif`."""
    return mask.with_name(f"{stem_of(mask)}_instances.json")


ENDINGS = {
    "labelme": ".json", "yolo": ".txt", "geojson": ".geojson", "gpkg": ".gpkg",
    "scores": "_scores.tif", "npz": "_scores.npz",
}  # fmt: skip
"""Of the files that some formats have for each image."""
FORMATS = (*ENDINGS, "csv")


def is_done(mask: Path, instances: bool, formats: Iterable[str] = ()) -> bool:
    """Say whether all results of an image are there (each is written whole)."""
    results = [mask, overlay_path(mask), *([instances_path(mask)] if instances else [])]
    if not all(path.is_file() for path in results):
        return False
    endings = [ENDINGS[name] for name in formats if name in ENDINGS]
    return all(
        any(mask.with_name(f"{stem_of(mask)}{page}{each}").is_file() for page in ("", "#1"))
        for each in endings
    )
