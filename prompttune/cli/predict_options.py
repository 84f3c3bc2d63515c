"""The command line of `predict`: its options, and which of them contradict each other."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli.commandline import Parser
from prompttune.cli.file_options import add_image_options, add_mask_options, add_pages_option
from prompttune.outputs.paths import FORMATS
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import is_tiff_name
from prompttune.utils.paths import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from prompttune.utils.bounds import AnyScale


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


RENAMED = {"--least_area": "--min_area", "--memory": "--memory_frames"}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog="prompttune predict", description="Segment images with a prompt.")
    parser.renamed = RENAMED
    parser.add_argument(
        "images", nargs="*", metavar="IMAGES", type=_place, help="image files or folders of them"
    )
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=_place, help="where results go"
    )
    _add_prompt(parser.add_argument_group("prompt (a key, examples, or a key with examples)"))
    files = parser.add_argument_group("files (where it cannot be seen how they are to be read)")
    add_image_options(files)
    add_pages_option(files)
    add_mask_options(files)
    _add_answer(parser.add_argument_group("answer"))
    _add_machine(parser.add_argument_group("machine"))
    _add_cluster(parser.add_argument_group("many images, many machines"))
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
        help="the examples' masks number instances, which get a color each (with --instances)",
    )  # fmt: skip
    add("--prompts_zoo", metavar="DIR", type=Path, help="folder of keys")


def _add_answer(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--quality", choices=("fast", "best"),
        help="fast: tiles overlap by an eighth; best: the mean of answers at five zooms, some six "
        "times the work, or tiles that overlap by half where a key has a companion (default: one "
        "answer, tiles overlap by a quarter)",
    )  # fmt: skip
    add(
        "--overlap", type=float,
        help="share of a tile that its neighbor covers too (default: 0.25)",
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


def _place(text: str) -> Path | str:
    """Return a path, or a URL as it is."""
    return text if _URL.match(text) else Path(text)


def _add_cluster(group: argparse._ArgumentGroup) -> None:
    """Add what `predict_on_cluster` reads."""
    add = group.add_argument
    add(
        "--ray", metavar="ADDRESS",
        help="segment on this Ray cluster (HOST:PORT, auto, or local) and write Parquet with a row "
        "an image, its masks as COCO run lengths; a run that was stopped goes on",
    )  # fmt: skip
    add("--list", metavar="FILE", help="with --ray: images to segment, a path or URL a line")
    add("--files", action="store_true", help="with --ray: masks as PNG files, not in the table")
    add("--workers", metavar="N[-M]", help="with --ray: the fewest and the most workers")
    add("--part", type=int, metavar="N", help="with --ray: images that are done together (64)")


def _check_cluster(options: argparse.Namespace) -> None:
    """Refuse options that do not go with, or without, a cluster."""
    urls = [each for each in options.images if isinstance(each, str)]
    if not options.ray:
        for name in ("list", "files", "workers", "part"):
            if getattr(options, name):
                raise InputError(f"--{name} goes with --ray ADDRESS")
        for url in urls:
            if not _is_raster(url):
                raise InputError(f"{url}: is a URL; download the file first, or add --ray ADDRESS")
        options.images = [Path(each) for each in options.images]
        return
    others = {
        "--video": options.video, "--instances": options.instances, "--format": options.format,
        "--coco": options.coco,
        "--select nearest": options.pool and options.select == "nearest",
    }  # fmt: skip
    for name, given in others.items():
        if given:
            raise InputError(f"{name} does not go with --ray")


def _zooms(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' are not numbers with commas") from None


def _set_quality(options: argparse.Namespace) -> None:
    """Fill in what `--quality` stands for; `--overlap`, `--flips` and `--zooms` go before it."""
    from prompttune.inference.quality import QUALITIES, USUAL

    chosen = QUALITIES.get(options.quality, USUAL)
    options.overlap = chosen.overlap if options.overlap is None else options.overlap
    options.flips = options.flips or chosen.flips
    options.zooms = options.zooms or chosen.zooms


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other."""
    _check_cluster(options)
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


def _scale(text: str) -> "AnyScale":
    """Read `--scale`."""
    if text in ("auto", "whole"):
        return text  # type: ignore[return-value]
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number, auto nor whole") from None


def _is_raster(url: str) -> bool:
    """Say whether a URL names what is read by windows where it lies."""
    return url.lower().startswith(("http://", "https://")) and is_tiff_name(Path(url))
