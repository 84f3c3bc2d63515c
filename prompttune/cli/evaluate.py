"""Score a backbone on six kinds of images that it was not trained on.

python -m prompttune.evaluate --data DIR --output DIR
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.cli.commandline import Parser, quote_command, rows_now
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.utils.progress import Progress

if TYPE_CHECKING:
    from prompttune.evaluation.suite.problems import Part
    from prompttune.evaluation.suite.trials import Setting, Trial
    from prompttune.inference.segmenter import Segmenter
    from prompttune.utils.recording import Record

PROG = "prompttune.evaluate"
RENAMED = {"--choices": "--repeats", "--limit": "--max_images"}
ROWS = ("one-shot", "feature", "all-foreground", "nearest-color", "copied")
"""By default."""
ALL_ROWS = (*ROWS, "matching")
SCORING = (
    "Dice, or J for videos: the mean over images, then over classes; ± is the standard deviation "
    "over {repeats} choices of examples, drawn from the training images. `feature` is the feature "
    "ensemble of {ensemble}, the one example among them. All rows see the same windows at the same "
    "scale, with an overlap of {overlap:g}, and each has the threshold with the best mean Dice on "
    "at most {validation} validation images, which are taken from the training part. A video's "
    "example is its first frame, which mirrored sets the threshold; `copied` is that frame's mask. "
    "Of several classes each is scored alone, on the images that show it."
)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for arguments that cannot be."""
    parser = Parser(prog="prompttune evaluate", description=(__doc__ or "").splitlines()[0])
    parser.renamed = RENAMED
    add = parser.add_argument
    add("--data", type=Path, help="folder that holds the sets' folders")
    add("--output", type=Path, help="folder for trials.jsonl, scores.json and scores.md")
    add(
        "--backbone",
        nargs="+",
        action="extend",
        help=f"name or weights file, or several (default: {DEFAULT_BACKBONE})",
    )
    add("--sets", nargs="+", metavar="SET", help="folders to score (default: all that are there)")
    add(
        "--rows",
        nargs="+",
        metavar="ROW",
        help=f"of: {', '.join(ALL_ROWS)} (default: all but the last)",
    )
    add("--repeats", type=_positive, default=10, metavar="N", help="of examples (default: 10)")
    add("--ensemble", type=_positive, default=8, metavar="N", help="its examples (default: 8)")
    add("--max_images", type=_positive, metavar="N", help="score at most N images a class or video")
    add(
        "--validation",
        type=_positive,
        default=4,
        metavar="N",
        help="images that choose a threshold, at most (default: 4)",
    )
    add("--split", choices=("test", "val"), default="test", help="val: to choose a scale")
    add("--scale", type=_scale, default="recipe", help="a number, or whole (default: the recipes')")
    add("--overlap", type=_overlap, default=0.125, help="of windows (default: .125)")
    add("--seed", type=int, default=0, help="of the first choice of examples (default: 0)")
    add("--processes", type=_positive, default=1, metavar="N", help="each with one thread")
    add("--resume", action="store_true", help="go on with what lies in --output")
    add("--curve", type=_positive, nargs="+", metavar="N", help="samples seen by each --backbone")
    add("--picture", type=Path, help="draw six answers into this PNG instead; --data is optional")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    args = parser.parse_args(argv)
    args.backbone = args.backbone or [DEFAULT_BACKBONE]
    args.rows = rows_now(args.rows)
    _check(args)
    return args


def _check(args: argparse.Namespace) -> None:
    for row in args.rows or ():
        if row not in ALL_ROWS:
            raise InputError(f"unknown row '{row}'.{suggest(row, ALL_ROWS)}")
    if args.picture is None and (args.data is None or args.output is None):
        raise InputError("--data and --output are needed (see --help)")
    if args.picture is not None and len(args.backbone) > 1:
        raise InputError("--picture shows one --backbone")
    if args.curve and len(args.curve) != len(args.backbone):
        counts = f"{len(args.curve)} numbers and {len(args.backbone)} backbones"
        raise InputError(f"--curve: {counts}; give one number for each --backbone")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    args = parse(argv)
    from prompttune.evaluation.suite.problems import Part

    part = Part(args.split, args.scale, args.max_images, args.validation)
    if args.picture is not None:
        return _draw(args, part)

    from prompttune.evaluation.suite.problems import present_sets
    from prompttune.evaluation.suite.report import open_record, write_scores

    names = present_sets(args.data, args.sets)
    settings = _settings(args, part)
    trials = _plan(args, settings, names)
    with open_record(args.output, args.resume) as record:
        _run(args, trials, record)
        content = _content(args, argv, settings, trials, record)
        write_scores(args.output, content)
        if args.curve:
            from prompttune.evaluation.suite.report import write_curve

            write_curve(args.output, content)
    _print_result(content, args.output)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def _scale(text: str) -> float | str:
    if text in ("whole", "recipe"):
        return text
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number above 0 nor 'whole'")
    return value


def _overlap(text: str) -> float:
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number in 0..1, 1 excluded")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _settings(args: argparse.Namespace, part: "Part") -> list["Setting"]:
    """Return what all trials with a backbone share, one for each."""
    from prompttune.inference.segmenter import Segmenter

    settings = []
    for backbone in args.backbone:
        segmenter = Segmenter(backbone, device=args.device, precision=args.precision)
        settings.append(_setting(args, part, backbone, segmenter))
    return settings


def _setting(
    args: argparse.Namespace, part: "Part", backbone: str, segmenter: "Segmenter"
) -> "Setting":
    from prompttune.evaluation.suite.trials import Setting

    return Setting(
        data=str(args.data),
        backbone=backbone,
        name=segmenter.network.name,
        fingerprint=segmenter.network.fingerprint,
        canvas=segmenter.network.config.canvas,
        part=part,
        overlap=args.overlap,
        ensemble=args.ensemble,
        seed=args.seed,
        device=segmenter.device.type,
        precision="bf16" if segmenter.bf16 else "fp32",
    )


def _plan(
    args: argparse.Namespace, settings: Sequence["Setting"], names: Sequence[str]
) -> list["Trial"]:
    """Return all trials, one set after the other, so that each is read once."""
    from prompttune.evaluation.suite.trials import plan

    return [
        trial
        for name in names
        for setting in settings
        for trial in plan(setting, name, args.rows or ROWS, args.repeats)
    ]


def _run(args: argparse.Namespace, trials: Sequence["Trial"], record: "Record") -> None:
    """Score what the record does not hold yet, behind a bar that knows how long it will take."""
    from prompttune.evaluation.suite.trials import run_trials

    missing = [trial for trial in trials if trial.key() not in record.results]
    with Progress("Scoring", sum(trial.cost for trial in missing)) as progress:
        for trial, result in run_trials(missing, args.processes):
            record.add(trial.key(), result)
            progress.advance(trial.cost, trial.set)


def _content(
    args: argparse.Namespace,
    argv: Sequence[str] | None,
    settings: Sequence["Setting"],
    trials: Sequence["Trial"],
    record: "Record",
) -> dict[str, Any]:
    """Return what `scores.json` holds."""
    from prompttune import __version__
    from prompttune.evaluation.suite.report import describe_backbone

    backbones = [
        describe_backbone(setting, [t for t in trials if t.setting == setting], record.results)
        for setting in settings
    ]
    for one, samples in zip(backbones, args.curve or (), strict=False):
        one["samples"] = samples
    used = {trial.row for trial in trials}
    text = SCORING.format(**vars(args))
    if args.split == "val":
        text += " These are the validation images, to choose a scale by and for no claim."
    return {
        "command": quote_command(PROG, sys.argv[1:] if argv is None else argv),
        "scoring": text,
        "rows": [row for row in args.rows or ROWS if row in used],
        "split": args.split,
        "limit": args.max_images,
        "precision": settings[0].precision,
        "device": settings[0].device,
        "prompttune_version": __version__,
        "backbones": backbones,
    }


def _draw(args: argparse.Namespace, part: "Part") -> int:
    from prompttune.evaluation.suite.picture import draw_suite
    from prompttune.inference.segmenter import Segmenter

    segmenter = Segmenter(args.backbone[0], device=args.device, precision=args.precision)
    setting = _setting(args, part, args.backbone[0], segmenter)
    drawn = draw_suite(args.picture, segmenter, setting, args.data, args.sets)
    print(f"Drawn into {args.picture}: {drawn}")
    return 0


def _print_result(content: dict[str, Any], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from prompttune.evaluation.suite.report import TEXT, set_table

    console = Console()
    for one in content["backbones"]:
        head, *lines = set_table(one["sets"], content["rows"])
        table = Table(title=f"{one['name']} ({content['split']})", box=None, padding=(0, 2, 0, 0))
        for position, cell in enumerate(head):
            first = position < 2
            table.add_column(
                cell.replace("-", " "), justify="left" if first else "right", no_wrap=first
            )
        for line in lines:
            table.add_row(*(cell.replace(" ± ", "±") for cell in line))  # fits 80 columns
        console.print(table)
        for said in one["verdicts"]:
            console.print(said, highlight=False)
    console.print(f"Table and details: {output / TEXT}", soft_wrap=True, highlight=False)
