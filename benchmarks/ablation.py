"""Which way of tuning is best: many recipes on the validation images of several tasks.

python -m benchmarks.ablation --data data --output docs/ablation.md

Each variant differs from a plain recipe in one thing. First all of them with one seed and few
steps, then the best with three seeds and more steps. Test images are never read. Results are kept
in a JSON file as they come; the command goes on where it ended.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prompttune.cli.commandline import quote_command
from prompttune.utils.paths import DEFAULT_BACKBONE

SETS = {
    "retina": "retina-drive",
    "aerial": "aerial-roads",
    "cracks": "road-cracks",
    "membranes": "em-membranes",
}
"""From a task to its folder in --data."""
PLAIN = {"init": "best-generated", "lr": 0.05}
"""What variants start from, whatever a task's recipe says."""
STEPS = 150
"""Of the second round."""
PROTOTYPES = "prototypes"
"""Not of a recipe: start from so many pieces of training images in a row (`prototypes`)."""
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "start: noise": {"init": "noise"},
    "start: Kaiming noise, free": {"init": "kaiming", "bounded": False},
    "start: one example": {"init": "example"},
    "start: best of 8 examples": {"init": "best-example"},
    "start: mean of 8 examples": {"init": "mean"},
    "start: 1 prototype": {PROTOTYPES: 1},
    "start: 4 prototypes": {PROTOTYPES: 2},
    "start: 16 prototypes": {PROTOTYPES: 4},
    "2 prompts": {"prompts": 2},
    "4 prompts": {"prompts": 4},
    "instance token": {"seg_type": 1},
    "learn a type token too, lr .01": {"type_lr": 0.01},
    "learn the image alone": {"learn": "image"},
    "learn the colors alone": {"learn": "colors"},
    "free pixels": {"bounded": False},
    "lr .02": {"lr": 0.02},
    "lr .1": {"lr": 0.1},
    "lr .2": {"lr": 0.2},
    "Dice alone": {"color_weight": 0.0},
    "smooth-L1 alone": {"dice_weight": 0.0, "color_weight": 1.0},
    "smooth-L1 alone, beta .01": {"dice_weight": 0.0, "color_weight": 1.0, "beta": 0.01},
    "smooth-L1 alone, foreground x 4": {
        "dice_weight": 0.0, "color_weight": 1.0, "foreground_weight": 4.0,
    },
    "jitter .1": {"jitter": 0.1},
    "average .95": {"ema": 0.95},
    "batch 4": {"batch": 4},
    "batch 16": {"batch": 16},
    "no augmentation": {"augment": False},
}  # fmt: skip
"""What each changes."""
IMAGES = 4
"""Validation images that score a variant, whole and at their best threshold."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets")
    add("--output", type=Path, required=True, help="the table, Markdown; .json lies beside it")
    add("--tasks", nargs="+", choices=SETS, default=list(SETS))
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--backbone", default=DEFAULT_BACKBONE)
    add("--steps", type=int, default=75, help="of the first round")
    add("--final", type=int, default=5, help="best variants, in the second round")
    add("--also", nargs="+", choices=VARIANTS, default=[], help="in it too")
    add("--seeds", type=int, default=3, help="of the second round")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Run both rounds and write the table."""
    args = parse(argv)
    results = Results(args.output.with_suffix(".json"))
    for task, variant, seed, steps in first_round(args):
        results.fill(args, task, variant, seed, steps)
    chosen = [*args.also, *ranked(results, args)[: args.final]]
    best = list(dict.fromkeys(["plain", *chosen])) if chosen else []
    for task in args.tasks:
        for variant in best:
            for seed in range(args.seeds):
                results.fill(args, task, variant, seed, STEPS)
    command = quote_command("benchmarks.ablation", argv)
    args.output.write_text(table(results, args, best, command), encoding="utf-8")
    print(args.output.read_text(encoding="utf-8"))


class Results:
    """Dice and seconds by task, variant, seed and steps, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, float]] = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        )

    def get(self, task: str, variant: str, seed: int, steps: int) -> dict[str, float]:
        """Return what is known of a run."""
        return self.known[f"{task} | {variant} | {seed} | {steps}"]

    def fill(
        self, args: argparse.Namespace, task: str, variant: str, seed: int, steps: int
    ) -> None:
        """Run what is not known yet."""
        key = f"{task} | {variant} | {seed} | {steps}"
        if key not in self.known:
            self.known[key] = run(args, task, variant, seed, steps)
            print(key, self.known[key], flush=True)
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.known, indent=1), encoding="utf-8")
            temporary.replace(self.path)


def first_round(args: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """Yield the short runs."""
    for variant in args.variants:
        for task in args.tasks:
            yield task, variant, 0, args.steps


def run(
    args: argparse.Namespace, task: str, variant: str, seed: int, steps: int
) -> dict[str, float]:
    """Tune one prompt; return its Dice on validation images, and the seconds that tuning took."""
    from benchmarks.prototypes import prototypes
    from prompttune.evaluation.comparison import Bench
    from prompttune.inference.segmenter import Segmenter
    from prompttune.tasks.data import task_data
    from prompttune.tasks.recipe import load_recipe
    from prompttune.tuning.run import Machine, tune
    from prompttune.utils.devices import choose_bf16

    recipe = load_recipe(task, PLAIN)
    changes = dict(VARIANTS[variant])
    side = changes.pop(PROTOTYPES, None)
    recipe = replace(recipe, max_steps=steps, **changes)
    # The images are split by the recipe's own seed, whatever the seed of the run.
    data = task_data(recipe, args.data / SETS[task])
    recipe = replace(recipe, seed=seed)
    segmenter = Segmenter(args.backbone)
    bf16 = choose_bf16("auto", segmenter.device, on_cpu=True)
    machine = Machine(segmenter.device.type, bf16, progress=False)
    started = time.perf_counter()
    start = prototypes(recipe, segmenter.network, data.train, side) if side else None
    with TemporaryDirectory() as scratch:
        output = Path(scratch) / "run"
        tuned = tune(recipe, segmenter.network, data, output, machine, start=start)
    seconds = time.perf_counter() - started
    bench = Bench(
        segmenter, tuned.prompt, segmenter.network.config.canvas,
        train=data.train, validation=data.val[:IMAGES], test=(), overlap=recipe.overlap,
    )  # fmt: skip
    dice = bench.validate(bench.prompted("tuned", tuned.prompt)).dice
    return {"dice": dice, "seconds": seconds}


def ranked(results: Results, args: argparse.Namespace) -> list[str]:
    """Return the variants by their mean Dice of the first round, the best first."""

    def mean(variant: str) -> float:
        values = [results.get(task, variant, 0, args.steps)["dice"] for task in args.tasks]
        return statistics.fmean(values)

    return sorted(args.variants, key=mean, reverse=True)


def table(results: Results, args: argparse.Namespace, best: list[str], command: str) -> str:
    """Write both rounds as Markdown."""
    head = ["variant", *args.tasks, "mean", "seconds"]
    lines = [
        "# Which way of tuning is best\n",
        f"Dice on {IMAGES} whole validation images; each variant changes one thing of a plain "
        f"recipe, which starts from the best of 32 generated scenes. `{command}`\n",
        f"## One seed, {args.steps} steps\n",
        _row(head),
        _row(["---"] * len(head)),
    ]
    for variant in ranked(results, args):
        runs = [results.get(task, variant, 0, args.steps) for task in args.tasks]
        lines.append(_row([variant, *_means([[run] for run in runs])]))
    if not best:
        return "\n".join(lines) + "\n"
    lines += [
        f"\n## The best, {args.seeds} seeds, {STEPS} steps\n",
        _row(head),
    ]
    lines.append(_row(["---"] * len(head)))
    for variant in best:
        runs = [
            [results.get(task, variant, seed, STEPS) for seed in range(args.seeds)]
            for task in args.tasks
        ]
        lines.append(_row([variant, *_means(runs)]))
    return "\n".join(lines) + "\n"


def _means(tasks: list[list[dict[str, float]]]) -> list[str]:
    """Return a cell for each task's runs, one for the mean over tasks, one for the seconds."""
    cells, means = [], []
    for runs in tasks:
        values = [run["dice"] for run in runs]
        means.append(statistics.fmean(values))
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{means[-1]:.3f}{spread}")
    seconds = statistics.fmean(run["seconds"] for runs in tasks for run in runs)
    return [*cells, f"{statistics.fmean(means):.3f}", f"{seconds:.0f}"]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
