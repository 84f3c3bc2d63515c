"""Compare a tuned prompt with examples, with trained networks and with trivial answers.

python -m prompttune.compare --task retina --prompt retina --data DIR --output DIR
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from prompttune.cli.commandline import Parser, quote_command, rows_now
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.utils.progress import Progress

if TYPE_CHECKING:
    from prompttune.baselines.rows import Rivals
    from prompttune.evaluation.comparison import Bench, Row, RowScores
    from prompttune.evaluation.report import Comparison
    from prompttune.inference.segmenter import Segmenter
    from prompttune.tasks.data import TaskData
    from prompttune.tasks.recipe import Recipe
    from prompttune.workflows.contender import Contender

PROG = "prompttune.compare"
RENAMED = {"--longest": "--max_minutes", "--limit": "--max_images", "--record": "--save_scores"}
ON_VALIDATION = (
    "Scored on validation images, which also choose the thresholds: good for a quick look, too "
    "optimistic for a claim."
)
MINUTES = 2.0
PLAIN_ROWS = (
    "one-shot", "one-shot-best", "feature", "spatial", "tuned", "all-foreground", "nearest-color",
)  # fmt: skip
KEY_ROWS = {
    "tuned", "tuned-prompt", "companion", "tuned-flips", "tuned-best", "tuned-all-tokens",
    "tuned-decoder",
}  # fmt: skip
"""These need a key; the others no more than its scale."""
OTHER_ROWS = (
    "tuned-prompt",
    "companion",
    "tuned-flips",
    "tuned-best",
    "tuned-all-tokens",
    "tuned-decoder",
    "matching",
    "community",
    "linear-probe",
    "unet",
    "unet-best",
    "observer",
)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for arguments that cannot be."""
    parser = Parser(
        prog="prompttune compare",
        description="Score a tuned prompt beside examples and trained networks, all alike.",
    )
    parser.renamed = RENAMED
    add = parser.add_argument
    add("--task", required=True, help="name of a recipe, e.g. retina")
    add("--prompt", help="the key: its name in the zoo, or its folder (default: tune one now)")
    add("--output", required=True, type=Path, help="folder for comparison.json and index.html")
    add("--data", type=Path, help="folder of images and masks; without it images are generated")
    add("--images_dir", type=Path, help="where its images lie, if not in images/")
    add("--masks_dir", type=Path, help="where its masks lie, if not in masks/")
    add("--split", choices=("test", "val"), default="test", help="images to score (default: test)")
    add("--images", type=_positive, metavar="N", help="learn from N training images (default: all)")
    add(
        "--rows",
        nargs="+",
        metavar="ROW",
        help=f"of: {', '.join(PLAIN_ROWS)} (the default), {', '.join(OTHER_ROWS)}; or all",
    )
    add(
        "--minutes",
        type=float,
        metavar="M",
        help="of the rows that are trained (default: what tuning took; 2 where no key tells)",
    )
    add(
        "--max_minutes",
        type=float,
        default=30.0,
        metavar="M",
        help="minutes after which unet-best ends in any case (default: 30)",
    )
    _add_scoring(parser)
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    add("--save_scores", action="store_true", help="write the scores into the key's card")
    add("--prompts_zoo", type=Path, metavar="DIR", help="folder of keys")
    return parser.parse_args(argv)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is scored, and how."""
    add = parser.add_argument
    add("--max_images", type=_positive, metavar="N", help="score only the first N images")
    add("--examples", type=_positive, default=5, metavar="N", help="one-shot examples (default: 5)")
    add(
        "--validation",
        type=_positive,
        default=4,
        metavar="N",
        help="validation images that choose thresholds, at most (default: 4)",
    )
    add("--scale", type=float, help="of examples, instead of the key's; not with the row tuned")
    add("--overlap", type=_overlap, help="of neighboring tiles (default: the recipe's)")
    add("--seed", type=int, default=0, help="chooses the examples (default: 0)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    args = parse(argv)
    _check(args)

    from prompttune.evaluation.report import Comparison, as_scores, staged, write_report
    from prompttune.evaluation.rows import ROWS
    from prompttune.inference.segmenter import Segmenter
    from prompttune.keys.key import write_card

    names = _chosen_rows(args.rows)
    with staged(args.output) as stage, TemporaryDirectory(prefix="prompttune-") as scratch:
        segmenter = Segmenter(args.backbone, device=args.device, precision=args.precision)
        contender = _contender(args, names, segmenter, Path(scratch))
        bench = _prepare(args, contender, segmenter)
        rivals = _rivals(args, contender, segmenter, Path(scratch))
        known = ROWS | rivals.rows()
        if args.rows == ["all"]:
            left_out = rivals.impossible(bench)
            names = tuple(name for name in names if name not in left_out)
        notices = _notices(args, contender.data)
        for notice in notices:
            print(notice)
        comparison = Comparison(
            task=args.task,
            backbone=segmenter.network.name,
            data=contender.data.name,
            split=args.split,
            palette=contender.key.palette,
            rows=_score(bench, {name: known[name] for name in names}),
            samples=bench.test,
            notices=notices,
            learning=rivals.histories,
            details=_details(bench, contender, segmenter, sys.argv[1:] if argv is None else argv),
        )
        write_report(stage, comparison)
    if args.save_scores and contender.card and contender.path:
        write_card(contender.path, contender.card.with_scores(as_scores(comparison)))
    _print_result(comparison, args.output)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    if args.prompt is None and (args.scale is not None or args.save_scores):
        raise InputError("--scale and --save_scores go with --prompt")
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise InputError(f"--minutes {args.minutes}: must be above 0")


def _contender(
    args: argparse.Namespace, rows: Sequence[str], segmenter: "Segmenter", scratch: Path
) -> "Contender":
    """Load the key, or tune one now where a row needs it."""
    from prompttune.workflows.contender import from_key, tuned_here
    from prompttune.zoo.store import find_key

    answers = bool(KEY_ROWS & set(rows))

    def find(recipe: "Recipe") -> "TaskData":
        return _data(args, recipe)

    if args.prompt is None:
        return tuned_here(args.task, segmenter, find, answers, scratch / "tuned")
    path = find_key(args.prompt, args.prompts_zoo)
    return from_key(path, args.task, segmenter, find, answers, args.scale)


def _data(args: argparse.Namespace, recipe: "Recipe") -> "TaskData":
    """Find the images, and say what was understood of them."""
    from prompttune.cli.tune import tell_survey
    from prompttune.tasks.data import task_data

    data = task_data(recipe, args.data, args.images, args.images_dir, args.masks_dir)
    tell_survey(PROG, data)
    return data


def _rivals(
    args: argparse.Namespace, contender: "Contender", segmenter: "Segmenter", scratch: Path
) -> "Rivals":
    """Prepare the rows that are trained, for as long as tuning took."""
    from prompttune.baselines.rows import Rivals
    from prompttune.workflows.contender import machine_of

    tuned, known = contender.tuned, None if args.minutes else contender.seconds
    seconds = known or 60 * (args.minutes or MINUTES)
    rivals = Rivals(
        segmenter, contender.recipe, contender.data, machine_of(segmenter),
        seconds, 60 * args.max_minutes, scratch,
    )  # fmt: skip
    if tuned is not None:
        rivals.histories["tuned"] = tuned.history
    return rivals


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def _overlap(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number in 0..1, 1 excluded")
    return value


def _chosen_rows(names: Sequence[str] | None) -> tuple[str, ...]:
    names, known = rows_now(names), (*PLAIN_ROWS, *OTHER_ROWS)
    if names == ["all"]:
        return known
    for name in names or ():
        if name not in known:
            raise InputError(f"unknown row '{name}'.{suggest(name, known)}")
    return tuple(dict.fromkeys(names or PLAIN_ROWS))


def _prepare(args: argparse.Namespace, contender: "Contender", segmenter: "Segmenter") -> "Bench":
    from prompttune.workflows.contender import bench_of

    return bench_of(
        contender, segmenter, args.split, args.validation, args.max_images, args.examples,
        args.overlap, args.seed,
    )  # fmt: skip


def _notices(args: argparse.Namespace, data: "TaskData") -> tuple[str, ...]:
    """Return what a reader must know of the images before any number."""
    notices = []
    if data.generated:
        notices.append(f"No --data: these are {data.name}, not real ones.")
    if args.split == "val":
        notices.append(ON_VALIDATION)
    return tuple(notices)


def _score(bench: "Bench", rows: dict[str, "Row"]) -> list["RowScores"]:
    from prompttune.evaluation.comparison import compare, count_predictions

    with Progress("Comparing", count_predictions(bench, rows), "images") as progress:
        bench.on_image = progress.advance
        return compare(bench, rows)


def _details(
    bench: "Bench", contender: "Contender", segmenter: "Segmenter", words: Sequence[str]
) -> dict[str, object]:
    from prompttune import __version__

    return {
        "prompt": bench.key.name,
        "tuning_seconds": contender.seconds,
        "train_images": len(contender.data.train),
        "validation_images": len(contender.data.val),
        "command": quote_command(PROG, words),
        "scale": bench.scale,
        "overlap": bench.overlap,
        "seed": bench.seed,
        "examples": [sample.name for sample in bench.drawn[: bench.examples]],
        "validation": [sample.name for sample in bench.validation],
        "device": segmenter.device.type,
        "precision": "bf16" if segmenter.bf16 else "fp32",
        "prompttune_version": __version__,
    }


def _print_result(comparison: "Comparison", output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from prompttune.evaluation.page import format_dice, format_score, reliability_columns
    from prompttune.evaluation.report import describe, headline

    about = f"{comparison.data}, {comparison.split}, {len(comparison.samples)} images"
    table = Table(title=f"{comparison.task} with {comparison.backbone} ({about})")
    table.add_column("row")
    rows = describe(comparison)["rows"]
    more = reliability_columns(rows)
    for head in ("prompts", "Dice", "IoU", "AUC", "clDice", *more.values(), "s/image"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            row["mode"],
            str(row["prompts"]),
            format_dice(row),
            *(format_score(row[name]) for name in ("iou", "auc", "cldice", *more)),
            f"{row['seconds_per_image']:.2f}",
        )
    console = Console()
    console.print(table)
    if text := headline(comparison.rows):
        console.print(text, highlight=False)
    console.print(f"Pictures and table: {output / 'index.html'}", soft_wrap=True, highlight=False)
