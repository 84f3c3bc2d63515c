"""Segment images with keys, examples or both: `python -m prompttune.predict --help`.

Writes `DIR/<stem>.png`, the class indices with the palette's colors, `DIR/<stem>_overlay.png`, and
with `--instances` `DIR/<stem>_instances.json`, COCO results. Of GeoTIFF and of stacks the masks are
TIFF as well, with the same place on earth and as many pages. Folders in a folder are kept.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli.commandline import uncollected
from prompttune.cli.file_options import (
    cards_of,
    image_options,
)
from prompttune.cli.predict_options import parse
from prompttune.outputs.paths import ENDINGS, find_images, is_done, name_outputs
from prompttune.utils.errors import InputError, warn
from prompttune.utils.image_files import is_tiff_name
from prompttune.utils.paths import real

if TYPE_CHECKING:
    from prompttune.data.reading import ImageOptions
    from prompttune.inference.segmenter import Segmenter
    from prompttune.inference.selection import NearestExamples
    from prompttune.outputs.coco_ids import CocoIds
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt

PROG = "prompttune.predict"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done."""
    options = parse(argv)
    with uncollected():
        from prompttune.cli.prompt_options import make_prompt
        from prompttune.inference.batch import segment_files  # noqa: F401, all that is large

    if options.ray:
        from prompttune.cli.cluster import predict_on_cluster

        return predict_on_cluster(options, make_prompt)
    masks = {} if options.video else _named(options)
    todo = {
        image: mask
        for image, mask in masks.items()
        if not (options.skip_done and _is_done(image, mask, options))
    }
    if masks and not todo:
        from prompttune.inference.writing import finish_tables

        finish_tables(options.output)
        print(f"all {len(masks)} images are done already in {options.output}")
        return 0

    from prompttune.inference.segmenter import Segmenter

    segmenter = Segmenter(options.backbone, options.device, options.precision)
    prompt = make_prompt(options, segmenter)
    if options.video:
        return _segment_video(segmenter, prompt, options)
    return _segment_images(segmenter, prompt, todo, options, skipped=len(masks) - len(todo))


def _is_done(image: Path, mask: Path, options: argparse.Namespace) -> bool:
    """Say whether all results of an image are there, of the pages that are wanted."""
    if not is_done(mask, options.instances, options.format):
        return False
    if mask.suffix != ".tif":
        return True
    from prompttune.data.chosen_pages import ChosenPages
    from prompttune.data.decoding import page_count
    from prompttune.outputs.rasters import holds_pages
    from prompttune.volumes.opening import is_volume

    pages = page_count(image)
    if pages == 1 or is_volume(image):
        return True
    chosen = ChosenPages.of(options.pages)
    try:
        return holds_pages(mask, None if chosen is None else chosen.wanted(pages, image))
    except InputError:  # a page that is not there: told where it is read
        return False


def _named(options: argparse.Namespace) -> dict[Path, Path]:
    from prompttune.data.decoding import page_count
    from prompttune.utils.image_files import is_nifti, stem_of

    def ending(image: Path) -> str:
        if is_nifti(image):
            return ".nii.gz" if image.name.lower().endswith(".gz") else ".nii"
        if _is_raster(image) or page_count(image) > 1:
            return ".tif"
        return ".png"

    kept = [path for pair in options.example for path in pair]
    images = find_images(options.images, options.output, options.passed)
    images = _without_masks(images, options)
    folders = [path for path in options.images if path.is_dir()]
    masks = name_outputs(images, options.output, kept, folders, ending)
    endings = [ENDINGS[name] for name in options.format if name in ENDINGS]
    for image, mask in masks.items():
        beside = real(image.parent) == real(mask.parent)
        for file in (mask.with_name(f"{stem_of(mask)}{ending}") for ending in endings):
            if beside and file.exists():
                raise InputError(
                    f"{file}: may be an annotation of yours; choose another --output for --format"
                )
    return masks


def _is_raster(image: Path) -> bool:
    """Say whether an image is read by windows, or has a place on the map."""
    if not is_tiff_name(image):
        from prompttune.data.huge_images import is_huge

        return is_huge(image)
    from prompttune.geo.georeference import read_georeference
    from prompttune.inference.rasters import is_large

    return is_large(image) or read_georeference(image) is not None


def _without_masks(images: list[Path], options: argparse.Namespace) -> list[Path]:
    """Leave out masks that lie beside their images in a folder that was named."""
    from prompttune.data.pairing import masks_beside

    folders = {path for path in options.images if path.is_dir()}
    named = {path for path in options.images if not path.is_dir()}
    inside = {image.parent for image in images if image not in named} if folders else set()
    masks = {mask for folder in sorted(inside) for mask in masks_beside(folder)} - named
    options.passed += sorted(masks)
    return [image for image in images if image not in masks]


def _segment_images(
    segmenter: "Segmenter",
    prompt: "Prompt | Composition | NearestExamples",
    masks: dict[Path, Path],
    options: argparse.Namespace,
    skipped: int,
) -> int:
    from prompttune.data.chosen_pages import ChosenPages
    from prompttune.data.queries import describe_images, warn_of_sizes
    from prompttune.inference.batch import segment_files
    from prompttune.inference.quality import Quality
    from prompttune.inference.writing import Asked

    recipes = cards_of(options.prompt, options.prompts_zoo)
    images = image_options(options, recipes)
    asked = Asked(
        Quality(options.overlap, options.flips, options.zooms),
        options.min_area if options.instances else None,
        images,
        _coco_ids(options, prompt, recipes),
        tuple(options.format),
        options.min_area,
        ChosenPages.of(options.pages),
    )
    if options.resize is None:
        warn_of_sizes(masks, recipes)
    options.output.mkdir(parents=True, exist_ok=True)
    large = _large(masks, prompt, options)
    usual = {image: mask for image, mask in masks.items() if image not in large}
    bad = segment_files(segmenter, prompt, usual, asked, options.output) if usual else []
    bad += _segment_large(segmenter, prompt, large, options, images)
    for line in bad:
        print(f"{PROG}: error: {line}", file=sys.stderr)
    done = len(masks) - len(bad)
    if done:
        also = f" ({skipped} more were there already)" if skipped else ""
        where = f"masks and overlays in {options.output}{also}"
        print(f"{done} of {len(masks)} images segmented, {where}")
        passed = "".join(f"; passed over {each}" for each in options.passed[:3])
        if len(options.passed) > 3:
            passed += f" and {len(options.passed) - 3} more"
        if asked.trust.summary():
            print(asked.trust.summary())
        print(f"Read: {describe_images(masks, images)}{options.masks_read}{passed}")
    return 0 if not bad else 1 if done or skipped else 2


def _large(
    masks: dict[Path, Path],
    prompt: "Prompt | Composition | NearestExamples",
    options: argparse.Namespace,
) -> dict[Path, Path]:
    """Return the rasters that are segmented by windows, or say what they do not go with."""
    from prompttune.data.huge_images import is_huge

    if not any(is_tiff_name(image) or is_huge(image) for image in masks):
        return {}
    from prompttune.inference.rasters import is_large
    from prompttune.inference.selection import NearestExamples

    large = {image: mask for image, mask in masks.items() if is_large(image)}
    for image in large:
        if options.format or options.instances:
            raise InputError(
                f"{image}: so large a raster becomes a GeoTIFF alone; leave --format and "
                "--instances out, or cut it into parts"
            )
        if isinstance(prompt, NearestExamples):
            raise InputError(f"{image}: so large a raster takes --select diverse or random")
    if large and options.zooms != (1.0,):
        warn(
            "rasters that are read by windows are seen at one zoom; the other --zooms are left out"
        )
    return large


def _segment_large(
    segmenter: "Segmenter",
    prompt: "Prompt | Composition | NearestExamples",
    masks: dict[Path, Path],
    options: argparse.Namespace,
    images: "ImageOptions",
) -> list[str]:
    """Segment rasters by windows; return a line for each that is no good."""
    if not masks:
        return []
    from prompttune.inference.rasters import segment_raster
    from prompttune.inference.selection import NearestExamples

    assert not isinstance(prompt, NearestExamples)
    bad = []
    for image, mask in masks.items():
        try:
            segment_raster(
                segmenter,
                prompt,
                image,
                mask,
                images,
                options.overlap,
                options.flips,
            )
        except InputError as error:
            bad.append(" ".join(str(error).split()))
    return bad


def _coco_ids(
    options: argparse.Namespace,
    prompt: "Prompt | Composition | NearestExamples",
    recipes: list[dict],
) -> "CocoIds":
    """Return the user's own numbers: of the file that is named, else of the key's annotations."""
    from prompttune.outputs.coco_ids import CocoIds

    if options.coco is not None:
        one = getattr(prompt, "instance_of", None)
        return CocoIds.read(options.coco, prompt.palette.classes if one is None else (one,))
    known: dict[str, int] = {}
    for recipe in recipes:
        known |= recipe.get("category_ids") or {}
    return CocoIds(known)


def _segment_video(
    segmenter: "Segmenter",
    prompt: "Prompt | Composition | NearestExamples",
    options: argparse.Namespace,
) -> int:
    from prompttune.prompts.prompt import Prompt
    from prompttune.video.run import segment_video

    if not isinstance(prompt, Prompt):  # `_check` refuses all that makes another, but such a key
        raise InputError("--video: this key shares its classes among groups; it segments images")
    if options.video.is_dir() and options.resize is None:
        from prompttune.data.queries import warn_of_sizes

        warn_of_sizes(find_images([options.video]), cards_of(options.prompt, options.prompts_zoo))
    kept = [path for pair in options.example for path in pair]
    frames = segment_video(
        segmenter, prompt, options.video, options.output, options.memory_frames, kept
    )
    print(f"{frames} frames segmented, results in {options.output}")
    return 0
