"""Segment images with keys, examples or both: `python -m prompttune.predict --help`.

Writes `DIR/<stem>.png`, the class indices with the palette's colours, `DIR/<stem>_overlay.png`, and
with `--instances` `DIR/<stem>_instances.json`, COCO results.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.commandline import Parser, run
from prompttune.errors import InputError
from prompttune.outputs import find_images, is_done, name_outputs
from prompttune.shipped import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from prompttune.composition import Composition
    from prompttune.prompt import AnyScale, Prompt
    from prompttune.segmenter import Segmenter
    from prompttune.selection import NearestExamples

PROG = "prompttune.predict"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog="prompttune predict", description="Segment images with a prompt.")
    parser.add_argument(
        "images", nargs="*", metavar="IMAGES", type=Path, help="image files or folders of them"
    )
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=Path, help="where results go"
    )
    _add_prompt(parser.add_argument_group("prompt (a key, examples, or a key with examples)"))
    _add_answer(parser.add_argument_group("answer"))
    _add_machine(parser.add_argument_group("machine"))
    options = parser.parse_intermixed_args(argv)
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
        "--instance_masks", action="store_true",
        help="the examples' masks number instances, which get a colour each (with --instances)",
    )  # fmt: skip
    add("--prompts_zoo", metavar="DIR", type=Path, help="folder of keys")


def _add_answer(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--overlap", type=float, default=0.25,
        help="share of a tile that its neighbour covers too (default: %(default)s)",
    )  # fmt: skip
    add("--flips", action="store_true", help="take the mean over four mirrored answers")
    add("--skip_done", action="store_true", help="skip images whose results are there already")
    add("--instances", action="store_true", help="also write objects, as COCO results")
    add(
        "--least_area", type=int, metavar="PIXELS", default=16,
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
        "--least_area: must be at least 1": options.least_area < 1,
        "--memory: must be at least 0": options.memory < 0,
        "--video takes one prompt for all frames; use --select diverse or random": options.video
        and options.pool
        and options.select == "nearest",
        "--video takes one key; several are not composed there": options.video
        and len(options.prompt) > 1,
        "--flips, --skip_done and --instances go with IMAGES": options.video
        and (options.flips or options.skip_done or options.instances),
    }
    for line, wrong in refused.items():
        if wrong:
            raise InputError(line)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done."""
    options = parse(argv)
    masks = {} if options.video else _named(options)
    todo = {
        image: mask
        for image, mask in masks.items()
        if not (options.skip_done and is_done(mask, options.instances))
    }
    if masks and not todo:
        print(f"all {len(masks)} images are done already in {options.output}")
        return 0

    from prompttune.segmenter import Segmenter

    segmenter = Segmenter(options.backbone, options.device, options.precision)
    prompt = _make_prompt(options, segmenter)
    if options.video:
        return _segment_video(segmenter, prompt, options)
    return _segment_images(segmenter, prompt, todo, options, skipped=len(masks) - len(todo))


def _named(options: argparse.Namespace) -> dict[Path, Path]:
    kept = [path for pair in options.example for path in pair]
    return name_outputs(find_images(options.images), options.output, kept=kept)


def _segment_images(
    segmenter: "Segmenter",
    prompt: "Prompt | Composition | NearestExamples",
    masks: dict[Path, Path],
    options: argparse.Namespace,
    skipped: int,
) -> int:
    from prompttune.folder import segment_files

    options.output.mkdir(parents=True, exist_ok=True)
    least_area = options.least_area if options.instances else None
    bad = segment_files(segmenter, prompt, masks, options.overlap, options.flips, least_area)
    for line in bad:
        print(f"{PROG}: error: {line}", file=sys.stderr)
    done = len(masks) - len(bad)
    if done:
        also = f" ({skipped} more were there already)" if skipped else ""
        where = f"masks and overlays in {options.output}{also}"
        print(f"{done} of {len(masks)} images segmented, {where}")
    return 0 if not bad else 1 if done or skipped else 2


def _segment_video(
    segmenter: "Segmenter",
    prompt: "Prompt | Composition | NearestExamples",
    options: argparse.Namespace,
) -> int:
    from prompttune.prompt import Prompt
    from prompttune.video.run import segment_video

    if not isinstance(prompt, Prompt):  # `_check` refuses all that makes another, but such a key
        raise InputError("--video: this key shares its classes among groups; it segments images")
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
    from prompttune.composition import Composition
    from prompttune.prompt import Prompt

    keys = []
    if options.prompt:
        from prompttune.zoo.store import load_prompt

        keys = [load_prompt(name, options.prompts_zoo) for name in options.prompt]
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
    from prompttune.palette import Palette
    from prompttune.prompt import Prompt
    from prompttune.scale import MOST_EXAMPLES
    from prompttune.selection import NearestExamples, Pool, find_pool, showing

    canvas = segmenter.canvas(keys[0] if keys else None)
    scale: AnyScale = "auto" if options.scale is None else options.scale
    scale = keys[0].scale if keys else scale
    classes = list(keys[0].palette.classes) if keys else _names(options.classes)

    def at_scale(prompt: Prompt) -> Prompt:
        if prompt.scale != "auto" or options.video:  # a video's first frame may tell
            return prompt
        prompt = segmenter.scaled(prompt)
        _say_scale(prompt.known_scale)
        return prompt

    if options.instance_masks:
        name = classes[0] if classes else "object"
        return at_scale(Prompt.from_instances(options.example, name, scale, canvas))
    made = Prompt.spatial if options.ensemble == "spatial" else Prompt.from_examples

    def make(examples: Sequence[tuple]) -> Prompt:
        return Prompt.join([*keys, made(examples, classes, scale, canvas)])

    if options.example:
        return at_scale(make([tuple(pair) for pair in options.example]))
    classes = classes or ["foreground"]
    examples = showing(find_pool(options.pool), classes)
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


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    run(main, PROG)
