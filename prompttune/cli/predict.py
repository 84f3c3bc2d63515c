"""Segment images with keys, examples or both: `python -m prompttune.predict --help`.

Writes `DIR/<stem>.png`, the class indices with the palette's colours, `DIR/<stem>_overlay.png`, and
with `--instances` `DIR/<stem>_instances.json`, COCO results. Of GeoTIFF and of stacks the masks are
TIFF as well, with the same place on earth and as many pages. Folders in a folder are kept.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli.cluster import add_cluster, check_cluster, place, predict_on_cluster
from prompttune.cli.commandline import Parser
from prompttune.cli.file_options import (
    add_image_options,
    add_mask_options,
    add_pages_option,
    cards_of,
    image_options,
)
from prompttune.outputs.paths import ENDINGS, FORMATS, find_images, is_done, name_outputs
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError, warn
from prompttune.utils.paths import DEFAULT_BACKBONE, real

if TYPE_CHECKING:
    from prompttune.data.reading import ImageOptions
    from prompttune.inference.segmenter import Segmenter
    from prompttune.inference.selection import NearestExamples
    from prompttune.outputs.coco_ids import CocoIds
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import AnyScale, Prompt

PROG = "prompttune.predict"
RENAMED = {"--least_area": "--min_area", "--memory": "--memory_frames"}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog="prompttune predict", description="Segment images with a prompt.")
    parser.renamed = RENAMED
    parser.add_argument(
        "images", nargs="*", metavar="IMAGES", type=place, help="image files or folders of them"
    )
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=place, help="where results go"
    )
    _add_prompt(parser.add_argument_group("prompt (a key, examples, or a key with examples)"))
    files = parser.add_argument_group("files (where it cannot be seen how they are to be read)")
    add_image_options(files)
    add_pages_option(files)
    add_mask_options(files)
    _add_answer(parser.add_argument_group("answer"))
    _add_machine(parser.add_argument_group("machine"))
    add_cluster(parser.add_argument_group("many images, many machines"))
    options = parser.parse_intermixed_args(argv)
    options.masks_read, options.passed = "", []
    _set_quality(options)
    _check(options)
    return options


def _add_prompt(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--prompt", metavar="KEY", action="append", default=[],
        help="a key: its name in the zoo, or its folder; keys of several classes share one result",
    )  # fmt: skip
    add(
        "--example", nargs=2, action="append", default=[], type=Path, metavar=("IMG", "MASK"),
        help="an example and its mask; may be repeated",
    )  # fmt: skip
    add(
        "--ensemble", default="feature", choices=("feature", "spatial"),
        help="how several examples answer together (default: %(default)s)",
    )  # fmt: skip
    add("--pool", metavar="DIR", type=Path, help="images/ and masks/ to choose examples from")
    add(
        "--select", default="nearest", choices=("nearest", "diverse", "random"),
        help="with --pool: examples like each image, spread examples, any (default: %(default)s)",
    )  # fmt: skip
    add(
        "--shots", type=int, default=1, metavar="N",
        help="with --pool: how many examples (default: %(default)s)",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="of --select random (default: %(default)s)")
    add(
        "--scale", type=_scale, metavar="S",
        help="of examples: tile at S canvas pixels an image pixel, or whole: fit images to the "
        "canvas (default: auto, which tries some on the examples)",
    )  # fmt: skip
    add("--classes", metavar="A,B", help="of examples: names of the mask's classes, in order")
    add(
        "--resize", type=float, metavar="F",
        help="with --prompt: see images F times as large (default: as they are)",
    )  # fmt: skip
    add(
        "--instance_masks", action="store_true",
        help="the examples' masks number instances, which get a colour each (with --instances)",
    )  # fmt: skip
    add("--prompts_zoo", metavar="DIR", type=Path, help="folder of keys")


def _add_answer(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--quality", choices=("fast", "best"),
        help="fast: tiles overlap by an eighth; best: the mean of answers at five zooms, some six "
        "times the work (default: one answer, tiles overlap by a quarter)",
    )  # fmt: skip
    add(
        "--overlap", type=float,
        help="share of a tile that its neighbour covers too (default: 0.25)",
    )  # fmt: skip
    add(
        "--threshold", type=float, metavar="T",
        help="score above which a pixel is of a class, in 0..1 (default: the key's; else 0.5)",
    )  # fmt: skip
    add("--flips", action="store_true", help="take the mean over four mirrored answers")
    add(
        "--zooms", type=_zooms, metavar="Z,...",
        help="take the mean over answers at these multiples of the scale, such as 0.8,1,1.25",
    )  # fmt: skip
    add("--skip_done", action="store_true", help="skip images whose results are there already")
    add("--instances", action="store_true", help="also write objects, as COCO results")
    add(
        "--format", nargs="+", choices=FORMATS, default=[], metavar="FORMAT",
        help=f"also write: {', '.join(FORMATS)} (things of --min_area or more)",
    )  # fmt: skip
    add(
        "--coco", metavar="FILE", type=Path,
        help="with --instances: number images and categories as this COCO file does",
    )  # fmt: skip
    add(
        "--min_area", type=int, metavar="PIXELS", default=16,
        help="of an object (default: %(default)s)",
    )  # fmt: skip
    add("--video", metavar="FILE", type=Path, help="segment a video or a folder of frames instead")
    add(
        "--memory_frames", type=int, metavar="K", default=1,
        help="with --video: earlier frames that prompt the next (default: %(default)s)",
    )  # fmt: skip


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file (default: %(default)s)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))


def _zooms(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' are not numbers with commas") from None


def _set_quality(options: argparse.Namespace) -> None:
    """Fill in what `--quality` stands for; `--overlap`, `--flips` and `--zooms` go before it."""
    if options.quality is None:
        options.overlap = 0.25 if options.overlap is None else options.overlap
        options.zooms = options.zooms or (1.0,)
        return
    from prompttune.inference.quality import QUALITIES

    chosen = QUALITIES[options.quality]
    options.overlap = chosen.overlap if options.overlap is None else options.overlap
    options.flips = options.flips or chosen.flips
    options.zooms = options.zooms or chosen.zooms


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    check_cluster(options)
    has_examples = bool(options.example or options.pool)
    if not options.prompt and not has_examples:
        raise InputError("one of the arguments --prompt --example --pool is required (see --help)")
    if bool(options.images or options.list) == bool(options.video):
        raise InputError("give IMAGES or --video FILE, one of the two (see --help)")
    refused = {
        "--scale and --classes go with --example; a key brings its own": options.prompt
        and (options.scale is not None or options.classes is not None),
        "--resize goes with --prompt; examples have --scale": options.resize is not None
        and not options.prompt,
        "--threshold: must be above 0 and below 1": options.threshold is not None
        and not 0 < options.threshold < 1,
        "--coco goes with --instances": options.coco and not options.instances,
        "--example and --pool exclude each other": options.example and options.pool,
        "examples join one key; give one --prompt beside them": has_examples
        and len(options.prompt) > 1,
        "--ensemble spatial goes with --example or --pool": options.ensemble == "spatial"
        and not has_examples,
        "--instance_masks goes with --example alone, one feature ensemble, and --instances": (
            options.instance_masks
            and (not options.example or options.prompt or options.ensemble == "spatial")
        )
        or (options.instance_masks and not options.instances),
        "--video takes one prompt for all frames; use --select diverse or random": options.video
        and options.pool
        and options.select == "nearest",
        "--video takes one key; several are not composed there": options.video
        and len(options.prompt) > 1,
        "--flips, --zooms, --skip_done and --instances go with IMAGES": options.video
        and (options.flips or options.zooms != (1.0,) or options.skip_done or options.instances),
        "--format goes with IMAGES": options.video and options.format,
        "--bands, --stretch and --pages go with IMAGES": options.video
        and any(each is not None for each in (options.bands, options.stretch, options.pages)),
    }
    for line, wrong in refused.items():
        if wrong:
            raise InputError(line)
    for name in ("resize", "scale", "overlap", "min_area", "seed"):
        value = getattr(options, name)
        if value is not None and not isinstance(value, str):
            check(name, value, f"--{name}")
    check("frames", options.memory_frames, "--memory_frames")
    check("examples", max(1, len(options.example)), "--example: given so often,")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done."""
    options = parse(argv)
    from prompttune.cli.prompt_options import make_prompt

    if options.ray:
        return predict_on_cluster(options, make_prompt)
    masks = {} if options.video else _named(options)
    todo = {
        image: mask
        for image, mask in masks.items()
        if not (options.skip_done and is_done(mask, options.instances, options.format))
    }
    if masks and not todo:
        print(f"all {len(masks)} images are done already in {options.output}")
        return 0

    from prompttune.inference.segmenter import Segmenter

    segmenter = Segmenter(options.backbone, options.device, options.precision)
    prompt = make_prompt(options, segmenter)
    if options.video:
        return _segment_video(segmenter, prompt, options)
    return _segment_images(segmenter, prompt, todo, options, skipped=len(masks) - len(todo))


def _named(options: argparse.Namespace) -> dict[Path, Path]:
    from prompttune.data.decoding import page_count
    from prompttune.geo.georeference import read_georeference
    from prompttune.inference.rasters import is_large
    from prompttune.utils.image_files import stem_of
    from prompttune.volumes.nifti import is_nifti

    def ending(image: Path) -> str:
        if is_nifti(image):
            return ".nii.gz" if image.name.lower().endswith(".gz") else ".nii"
        if is_large(image) or page_count(image) > 1 or read_georeference(image):
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
    from prompttune.inference.writing import Asked

    recipes = cards_of(options.prompt, options.prompts_zoo)
    images = image_options(options, recipes)
    least_area = options.min_area if options.instances else None
    ids = _coco_ids(options, prompt, recipes)
    formats = tuple(options.format)
    asked = Asked(
        options.overlap,
        options.flips,
        options.zooms,
        least_area,
        images,
        ids,
        formats,
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
            passed += f" and {len(options.passed) - 3} more masks"
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


def _scale(text: str) -> "AnyScale":
    """Read `--scale`."""
    if text in ("auto", "whole"):
        return text  # type: ignore[return-value]
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number, auto nor whole") from None
