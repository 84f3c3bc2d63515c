"""The proof: a tuned key beside examples, ensembles and trained networks, on several sets.

python -m benchmarks.proof --data data --output docs/proof.md

Every line is one run of `prompttune.compare` with all training images of a set, and of two sets
also with a few. What is done already is not done again; runs lie under --runs. Beside the page lie
the curves: scores over the number of images, and over the seconds of training.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from prompttune.evaluation.plot import draw_lines

ROWS = ("one-shot", "feature", "tuned", "tuned-prompt", "companion", "unet", "unet-best")
FEW_ROWS = ("one-shot", "tuned", "tuned-prompt", "companion", "unet", "unet-best")
"""With a few images; their curves."""
LIMIT_ROWS = (
    "one-shot-best", "spatial", "matching", "tuned-prompt", "tuned-best", "tuned-decoder",
    "community", "linear-probe",
)  # fmt: skip
"""What else there is, and what limits a prompt."""
SETS = {
    "retina": "retina-drive",
    "aerial": "aerial-roads",
    "membranes": "em-membranes",
    "cracks": "road-cracks",
    "car-parts": "car-parts",
}
"""From a task to its folder in --data."""
SHIPPED = ("retina", "aerial", "membranes", "cracks")
"""The zoo has keys of these, tuned on all training images (`make zoo`)."""
FEW = dict.fromkeys(SETS, (1, 5, 20)) | {"retina": (1, 5)}
"""Of these sets also with so few images; all of the retinas are 20."""
FEW_IMAGES = 12
"""Test images, with a few to learn from, and of car parts."""
MEASURES = {"dice": "Dice", "iou": "IoU", "auc": "AUC", "cldice": "clDice"}


@dataclass(frozen=True)
class Run:
    """One comparison."""

    task: str
    images: int | None = None
    """To learn from; None: all."""
    limits: bool = False
    """Whether it compares `LIMIT_ROWS`."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.task}-{'limits' if self.limits else self.images or 'all'}"

    @property
    def rows(self) -> tuple[str, ...]:
        """What it compares."""
        if self.limits:
            return LIMIT_ROWS
        if self.images is not None:
            return FEW_ROWS
        return (*ROWS, "observer") if self.task == "retina" else ROWS

    def words(self, args: argparse.Namespace) -> list[str]:
        """Return its command, after `python -m`."""
        words = [
            "prompttune.compare",
            "--task",
            self.task,
            "--data",
            f"{args.data}/{SETS[self.task]}",
        ]
        words += ["--images", str(self.images)] if self.images else []
        if self.images is None and self.task in SHIPPED:
            words += ["--prompt", self.task]
        words += [
            "--rows",
            *self.rows,
            "--max_minutes",
            f"{args.max_minutes:g}",
            "--precision",
            "bf16",
        ]
        most = FEW_IMAGES if self.images or self.task == "car-parts" else None
        words += ["--max_images", str(most)] if most else []
        return [*words, "--output", f"{args.runs}/{self.name}"]


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proof", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets")
    add("--output", type=Path, required=True, help="the page, Markdown; pictures lie beside it")
    add("--runs", type=Path, default=Path("runs/proof"), help="(default: %(default)s)")
    add(
        "--max_minutes",
        type=float,
        default=10.0,
        help="minutes of unet-best (default: %(default)s)",
    )
    add("--only", nargs="+", metavar="RUN", help="make these alone, e.g. cracks-all cracks-5")
    return parser.parse_args(argv)


def all_runs() -> list[Run]:
    """Return the runs in their order."""
    few = [Run(task, few) for task, counts in FEW.items() for few in counts]
    limits = [Run(task, limits=True) for task in SETS if task != "car-parts"]
    return [*(Run(task) for task in SETS), *few, *limits]


def main(argv: list[str]) -> None:
    """Run what is missing, then write the page of what there is."""
    args = parse(argv)
    runs = all_runs()
    if args.only and (unknown := set(args.only) - {run.name for run in runs}):
        raise SystemExit(f"--only: no run {', '.join(sorted(unknown))}")
    for run in runs:
        if (not args.only or run.name in args.only) and not _result(args, run):
            print(" ".join(["python -m", *run.words(args)]), flush=True)
            subprocess.run([sys.executable, "-m", *run.words(args)], check=True)
    found = {run: result for run in runs if (result := _result(args, run))}
    args.output.write_text(page(args, found), encoding="utf-8")
    for name, picture in pictures(found).items():
        picture.save(args.output.with_name(name))


def _result(args: argparse.Namespace, run: Run) -> dict[str, Any] | None:
    path = args.runs / run.name / "comparison.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def page(args: argparse.Namespace, found: dict[Run, dict[str, Any]]) -> str:
    """Return the page: a table of Dice over sets, one a set with all measures, one a curve."""
    lines = ["# The proof", "", INTRODUCTION.format(longest=f"{args.max_minutes:g}"), ""]
    lines += ["## All training images: Dice", "", *_over_sets(found, (*ROWS, "observer"), False)]
    if any(run.limits for run in found):
        lines += ["", "## What else there is, and what limits a prompt: Dice", ""]
        lines += _over_sets(found, LIMIT_ROWS, True)
    for task in FEW:
        if not any(run.task == task and run.images for run in found):
            continue
        few = {_learned_from(run, result): _by_row(result) for run, result in found.items()
               if run.task == task and not run.limits}  # fmt: skip
        lines += ["", f"## {task}: Dice by the number of images", ""]
        lines += [f"![Dice by the number of images](proof-{task}-images.png)", ""]
        lines += _table(["images", *map(str, sorted(few))], [
            [row, *(_cell(few[count].get(row), "dice") for count in sorted(few))]
            for row in FEW_ROWS
        ])  # fmt: skip
    for run, result in found.items():
        lines += ["", *_section(args, run, result)]
    return "\n".join(lines) + "\n"


def _over_sets(found: dict[Run, dict[str, Any]], rows: Sequence[str], limits: bool) -> list[str]:
    """Return a table of Dice: rows over sets, all images learned from."""
    tables = {
        run.task: _by_row(result)
        for run, result in found.items()
        if run.images is None and run.limits is limits
    }
    return _table(["", *tables], [
        [row, *(_cell(table.get(row), "dice") for table in tables.values())] for row in rows
    ])  # fmt: skip


INTRODUCTION = (
    "`python -m benchmarks.proof` makes this page. Test images of the given splits, each row at "
    "the threshold that is best on validation images, `seggpt-small` in bf16 on one thread of a "
    "CPU. With all images the key is the shipped one (`make zoo`), else one is tuned here.\n\n"
    "- `tuned` is the key as a user has it: the prompt and its companion, a small U-Net in the "
    "key, learned on the same images.\n"
    "- `tuned-prompt` is the same key without its companion, `companion` that network alone.\n"
    "- `tuned-best` is the key asked as `predict --quality best` asks it.\n"
    "- `tuned-decoder` is the prompt learned on beside the decoder's last two convolutions. It is "
    "no key: it says what freezing costs.\n"
    "- `matching` is one example by image features alone, `community` the public recipe, with as "
    "many crops as the key.\n"
    "- `unet` (MONAI's residual U-Net, 1.6 M weights) and `linear-probe` were trained for the "
    "seconds that tuning took, companion included; `unet-best` until 20 validations brought "
    "nothing, but {longest} minutes at most. All compute in bf16 as the key does.\n\n"
    "Curves over time are of validation crops: of 128 pixels for U-Nets, of the key's canvas for "
    "the others. Of several classes all values are means over classes."
)


def _section(args: argparse.Namespace, run: Run, result: dict[str, Any]) -> list[str]:
    count = _learned_from(run, result)
    scored = len(next(iter(result["rows"]))["trials"][0]["images"])
    images = "1 image" if count == 1 else f"{count} images"
    head = [
        f"## {run.task}, {images}{', what limits' if run.limits else ''}", "",
        f"{result['train_images']} tuned and {result['validation_images']} chose; {scored} test "
        f"images; tuning took {result['tuning_seconds']:.0f} s.", "",
    ]  # fmt: skip
    if run.images is None and not run.limits:
        head += [f"![Dice on validation crops over seconds](proof-{run.name}-time.png)", ""]
    rows = [
        [row["mode"], *(_cell(row, name) for name in MEASURES), f"{row['seconds_per_image']:.2f}"]
        for row in result["rows"]
    ]
    table = _table(["", *MEASURES.values(), "s/image"], rows)
    return [*head, *table, "", "```sh", " ".join(["python -m", *run.words(args)]), "```"]


def _learned_from(run: Run, result: dict[str, Any]) -> int:
    """Return how many images a run had, those that chose included."""
    return run.images or result["train_images"] + result["validation_images"]


def _by_row(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["mode"]: row for row in result["rows"]}


def _cell(row: dict[str, Any] | None, measure: str) -> str:
    if row is None or row[measure] is None:
        return ""
    values = [row[measure], *([row["dice_sd"]] if measure == "dice" and row["dice_sd"] else [])]
    text = " ± ".join(f"{value:.3f}".removeprefix("0") for value in values)
    return f"**{text}**" if row["mode"] == "tuned" else text


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    kept = [row for row in rows if any(row[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *kept)]


def pictures(found: dict[Run, dict[str, Any]]) -> dict[str, Image.Image]:
    """Return the curves by file name."""
    drawn = {}
    for task in FEW:
        if not any(run.task == task and run.images for run in found):
            continue
        lines: dict[str, list[tuple[float, float]]] = {row: [] for row in FEW_ROWS}
        few = {
            _learned_from(run, result): result
            for run, result in found.items()
            if run.task == task and not run.limits
        }
        for count, result in sorted(few.items()):
            for name, row in _by_row(result).items():
                if name in lines:
                    lines[name].append((count, row["dice"]))
        drawn[f"proof-{task}-images.png"] = draw_lines(lines, "labeled images")
    for run, result in found.items():
        if run.images is None and not run.limits:
            lines = {name: [tuple(at) for at in line] for name, line in result["learning"].items()}
            drawn[f"proof-{run.name}-time.png"] = draw_lines(lines, "seconds of training")
    return drawn


if __name__ == "__main__":
    main(sys.argv[1:])
