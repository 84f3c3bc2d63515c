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

from prompttune.cli.commandline import Parser
from prompttune.cli.file_options import (
    add_image_options,
    add_mask_options,
    cards_of,
    image_options,
    mask_options,
    named_by_colors,
)
from prompttune.data.class_names import class_names
from prompttune.outputs.paths import ENDINGS, FORMATS, find_images, is_done, name_outputs
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE, real

if TYPE_CHECKING:
    from prompttune.inference.segmenter import Segmenter
    from prompttune.inference.selection import NearestExamples
    from prompttune.outputs.coco_ids import CocoIds
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import AnyScale, Prompt

PROG = "prompttune.predict"
RENAMED = {"--least_area": "--min_area"}
MOST_PAGES = 8
"""Of a stack that is an example."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog="prompttune predict", description="Segment images with a prompt.")
    parser.renamed = RENAMED
    parser.add_argument(
        "images", nargs="*", metavar="IMAGES", type=Path, help="image files or folders of them"
    )
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=Path, help="where results go"
    )
    _add_prompt(parser.add_argument_group("prompt (a key, examples, or a key with examples)"))
    files = parser.add_argument_group("files (where it cannot be seen how they are to be read)")
    add_image_options(files)
    add_mask_options(files)
    _add_answer(parser.add_argument_group("answer"))
    _add_machine(parser.add_argument_group("machine"))
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
        help="fast: tiles overlap by an eighth; best: by half, and the mean of mirrored answers, "
        "six to nine times the work (default: between the two)",
    )  # fmt: skip
    add(
        "--overlap", type=float,
        help="share of a tile that its neighbour covers too (default: 0.25)",
    )  # fmt: skip
    add("--flips", action="store_true", help="take the mean over four mirrored answers")
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
        "--memory", type=int, metavar="K", default=1,
        help="with --video: earlier frames that prompt the next (default: %(default)s)",
    )  # fmt: skip


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file (default: %(default)s)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))


def _set_quality(options: argparse.Namespace) -> None:
    """Fill in what `--quality` stands for; `--overlap` and `--flips` go before it."""
    if options.quality is None:
        options.overlap = 0.25 if options.overlap is None else options.overlap
        return
    from prompttune.inference.quality import QUALITIES

    chosen = QUALITIES[options.quality]
    options.overlap = chosen.overlap if options.overlap is None else options.overlap
    options.flips = options.flips or chosen.flips


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    has_examples = bool(options.example or options.pool)
    if not options.prompt and not has_examples:
        raise InputError("one of the arguments --prompt --example --pool is required (see --help)")
    if bool(options.images) == bool(options.video):
        raise InputError("give IMAGES or --video FILE, one of the two (see --help)")
    refused = {
        "--scale and --classes go with --example; a key brings its own": options.prompt
        and (options.scale is not None or options.classes is not None),
        "--resize goes with --prompt; examples have --scale": options.resize is not None
        and not options.prompt,
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
        "--flips, --skip_done and --instances go with IMAGES": options.video
        and (options.flips or options.skip_done or options.instances),
        "--format goes with IMAGES": options.video and options.format,
        "--bands and --stretch go with IMAGES": options.video
        and (options.bands is not None or options.stretch is not None),
    }
    for line, wrong in refused.items():
        if wrong:
            raise InputError(line)
    for name in ("resize", "scale", "overlap", "min_area", "seed"):
        value = getattr(options, name)
        if value is not None and not isinstance(value, str):
            check(name, value, f"--{name}")
    check("frames", options.memory, "--memory")
    check("examples", max(1, len(options.example)), "--example: given so often,")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done."""
    options = parse(argv)
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
    prompt = _make_prompt(options, segmenter)
    if options.video:
        return _segment_video(segmenter, prompt, options)
    return _segment_images(segmenter, prompt, todo, options, skipped=len(masks) - len(todo))


def _named(options: argparse.Namespace) -> dict[Path, Path]:
    from prompttune.data.decoding import page_count
    from prompttune.outputs.georeference import read_georeference

    def ending(image: Path) -> str:
        return ".tif" if page_count(image) > 1 or read_georeference(image) else ".png"

    kept = [path for pair in options.example for path in pair]
    images = find_images(options.images, options.output, options.passed)
    images = _without_masks(images, options)
    folders = [path for path in options.images if path.is_dir()]
    masks = name_outputs(images, options.output, kept, folders, ending)
    endings = [ENDINGS[name] for name in options.format if name in ENDINGS]
    for image, mask in masks.items():
        beside = real(image.parent) == real(mask.parent)
        for file in (mask.with_suffix(ending) for ending in endings):
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
    from prompttune.data.queries import describe_images, warn_of_sizes
    from prompttune.inference.batch import segment_files
    from prompttune.inference.writing import Asked

    recipes = cards_of(options.prompt, options.prompts_zoo)
    images = image_options(options, recipes)
    least_area = options.min_area if options.instances else None
    ids = _coco_ids(options, prompt, recipes)
    formats = tuple(options.format)
    asked = Asked(
        options.overlap, options.flips, least_area, images, ids, formats, options.min_area
    )
    if options.resize is None:
        warn_of_sizes(masks, recipes)
    options.output.mkdir(parents=True, exist_ok=True)
    bad = segment_files(segmenter, prompt, masks, asked, options.output)
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
    frames = segment_video(segmenter, prompt, options.video, options.output, options.memory, kept)
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


def _say_scale(scale: float | None) -> None:
    seen = "images whole" if scale is None else f"scale {scale:g}"
    print(f"{seen} (chosen from the examples; --scale sets it)", file=sys.stderr)


def _make_prompt(
    options: argparse.Namespace, segmenter: "Segmenter"
) -> "Prompt | Composition | NearestExamples":
    """Make of the options what answers, and check that it fits the backbone."""
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt

    keys = []
    if options.prompt:
        from prompttune.zoo.store import load_prompt

        keys = [load_prompt(name, options.prompts_zoo) for name in options.prompt]
    if options.resize is not None:
        keys = [key.resized(options.resize) for key in keys]
    for key in keys:
        segmenter.check(key)
    if options.example or options.pool:
        plain = [key for key in keys if isinstance(key, Prompt)]
        if len(plain) < len(keys):
            raise InputError("--prompt: a key that shares its classes among groups stands alone")
        return _with_examples(options, segmenter, plain)
    return keys[0] if len(keys) == 1 else Composition(part for key in keys for part in key.parts)


def _with_examples(
    options: argparse.Namespace, segmenter: "Segmenter", keys: list["Prompt"]
) -> "Prompt | NearestExamples":
    from prompttune.inference.scale import MOST_EXAMPLES
    from prompttune.inference.selection import NearestExamples, Pool
    from prompttune.prompts.palette import Palette
    from prompttune.prompts.prompt import Prompt

    canvas = segmenter.canvas(keys[0] if keys else None)
    scale: AnyScale = "auto" if options.scale is None else options.scale
    scale = keys[0].scale if keys else scale
    classes = list(keys[0].palette.classes) if keys else _names(options)

    def at_scale(prompt: Prompt) -> Prompt:
        if prompt.scale != "auto" or options.video:  # a video's first frame may tell
            return prompt
        prompt = segmenter.scaled(prompt)
        _say_scale(prompt.known_scale)
        return prompt

    if options.instance_masks:
        name = classes[0] if classes else "object"
        return at_scale(Prompt.from_instances(_files(options, None), name, scale, canvas))
    made = Prompt.spatial if options.ensemble == "spatial" else Prompt.from_examples

    def make(examples: Sequence[tuple]) -> Prompt:
        return Prompt.join([*keys, made(examples, classes, scale, canvas)])

    if options.example:
        return at_scale(make(_files(options, classes)))
    classes = classes or ["foreground"]
    examples = _pool_files(options, classes)
    if not 1 <= options.shots <= len(examples):
        raise InputError(
            f"--shots {options.shots}: {options.pool} has {len(examples)} images that show a class"
        )
    pool = Pool(segmenter, examples)
    if options.select == "nearest":
        palette = keys[0].palette if keys else Palette.of(classes)
        if scale == "auto":  # once for all images
            some = pool.diverse(min(len(examples), MOST_EXAMPLES))
            scale = at_scale(Prompt.from_examples(some, classes)).scale
        return NearestExamples(pool, options.shots, palette, make)
    if options.select == "diverse":
        return at_scale(make(pool.diverse(options.shots)))
    return at_scale(make(pool.random(options.shots, options.seed)))


def _files(options: argparse.Namespace, classes: list[str] | None) -> list[tuple]:
    """Return the examples' files with what says how they are read; note how masks were."""
    from prompttune.prompts.examples import ImageFile, MaskFile, read_class_maps

    images = image_options(options, cards_of(options.prompt, options.prompts_zoo))
    masks = mask_options(options, classes)
    files = [
        (ImageFile(image, images, page), MaskFile(mask, masks, page))
        for image, mask in options.example
        for page in _example_pages(image, mask)
    ]
    if not options.instance_masks:
        *_, said = read_class_maps([mask for _, mask in files], classes)
        options.masks_read = f"; masks {said}"
    return files


def _example_pages(image: Path, mask: Path) -> list[int]:
    """Return the pages of an example that show something: of stacks, a few; else the only one."""
    from prompttune.data.decoding import page_count
    from prompttune.data.masks import read_stored

    pages = page_count(image), page_count(mask)
    if pages[0] != pages[1]:
        raise InputError(
            f"{image} has {pages[0]} page{'s' * (pages[0] > 1)}, but {mask} has {pages[1]}; an "
            "example's image and mask must have equally many"
        )
    if pages[0] == 1:
        return [0]
    telling = [page for page in range(pages[0]) if read_stored(mask, page=page).values.any()]
    return telling[:: -(-len(telling) // MOST_PAGES)] if telling else [0]


def _pool_files(options: argparse.Namespace, classes: list[str]) -> list[tuple]:
    """Return the pool's files that show a class, their masks understood as a set."""
    from prompttune.data.mask_survey import describe_masks, look_at, settle
    from prompttune.data.masks import read_stored
    from prompttune.inference.selection import find_pool, showing
    from prompttune.prompts.examples import ImageFile, MaskFile

    images = image_options(options, cards_of(options.prompt, options.prompts_zoo))
    masks = mask_options(options, classes)
    pairs = find_pool(options.pool)
    facts = [look_at(read_stored(mask, masks), mask) for _, mask in pairs]
    masks = settle(facts, len(classes), masks)
    options.masks_read = f"; masks {describe_masks(facts, classes, masks)}"
    return showing([(ImageFile(i, images), MaskFile(m, masks)) for i, m in pairs], classes)


def _names(options: argparse.Namespace) -> list[str] | None:
    if options.classes is not None:
        return list(class_names(options.classes.split(",")))
    return None if options.colors is None else list(named_by_colors(options.colors))
