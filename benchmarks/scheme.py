"""What each part of in-context coloring is worth: short trainings, scored on unseen kinds.

python -m benchmarks.scheme --pool DIR --data DIR --output docs/scheme.md

Every variant changes one thing of the recipe and is trained from nothing, with several seeds, on
a canvas of 32 pixels. Then `prompttune.evaluate` scores it: one example a set, on a few test
images. What is done already is not done again; runs lie under --runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
BASE = ROOT / "recipes" / "pretrain" / "cpu.yaml"
COMMON: dict[str, dict[str, Any]] = {
    "mix": {
        "generated": 0.5, "hard": 0.3, "unlabeled": 0.5, "same_image": 0.6, "instances": 0.1,
        "mix_context": 0.15, "half_masked": 0.7, "patch_ratio": 0.75, "foreground": 0.3,
    },
    "optimizer": {"lr": 1e-3, "weight_decay": 0.05, "warmup": 0.08, "decay": 0.4, "clip": 1.0,
                  "beta": 1.0},
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "the scheme": {},
    "fixed colors": {"colors": "fixed"},
    "no mix-context": {"mix_context": 0.0},
    "half masks alone": {"half_masked": 1.0},
    "real images alone": {"generated": 0.0},
    "generated images alone": {"generated": 1.0},
}


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheme", description=__doc__)
    add = parser.add_argument
    add("--pool", required=True, help="the training sets of the recipe")
    add("--data", required=True, help="the sets that score")
    add("--output", type=Path, required=True, help="the table, Markdown")
    add("--runs", type=Path, default=Path("runs/scheme"), help="(default: %(default)s)")
    add("--steps", type=int, default=440, help="of 64 samples (default: %(default)s)")
    add("--seeds", type=int, default=2, help="(default: %(default)s)")
    add("--choices", type=int, default=2, help="of examples (default: %(default)s)")
    add("--limit", type=int, default=2, help="images a class or video (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Train and score everything, then write the table."""
    args = parse(argv)
    scores: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        for variant in VARIANTS:
            weights = train(args, variant, seed)
            scores.setdefault(variant, []).append(score(args, weights))
            print(f"{variant}, seed {seed}: {scores[variant][-1]}", flush=True)
    text = table(args, scores, "python -m benchmarks.scheme " + " ".join(argv))
    args.output.write_text(text, encoding="utf-8")
    print(text)


def train(args: argparse.Namespace, variant: str, seed: int) -> Path:
    """Train a variant, or go on with it; return its weights."""
    folder = args.runs / f"{variant.replace(' ', '-')}-{seed}"
    recipe = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    recipe |= COMMON | {"max_steps": args.steps, "seed": 100 + seed, "ema": 0.98}
    recipe["mix"] = recipe["mix"] | VARIANTS[variant]
    weights = folder / "backbone.safetensors"
    finished = folder / "finished"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        _run("pretrain", "--recipe", path, "--data", args.pool, "--output", folder, "--resume")
        finished.touch()
    return weights


def score(args: argparse.Namespace, weights: Path) -> dict[str, float]:
    """Return the mean Dice (J for videos) of one example, by set."""
    folder = weights.parent / "scores"
    scored = folder / "scores.json"
    if not scored.exists():
        _run(
            "evaluate", "--backbone", weights, "--data", args.data, "--rows", "one-shot",
            "--repeats", args.choices, "--max_images", args.limit, "--output", folder, "--resume",
        )  # fmt: skip
    (found,) = json.loads(scored.read_text(encoding="utf-8"))["backbones"]
    return {name: each["rows"]["one-shot"]["mean"] for name, each in found["sets"].items()}


def _run(command: str, *words: object) -> None:
    line = [sys.executable, "-m", f"prompttune.{command}", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def table(args: argparse.Namespace, scores: dict[str, list[dict[str, float]]], line: str) -> str:
    """Write the table as Markdown: the mean over seeds, and half their range."""
    sets = list(next(iter(scores.values()))[0])
    rows = [_row(["", *sets, "mean"]), _row(["---"] * (len(sets) + 2))]
    for variant, runs in scores.items():
        columns = [[run[name] for run in runs] for name in sets]
        means = [statistics.fmean(run.values()) for run in runs]
        rows.append(_row([variant, *map(_cell, [*columns, means])]))
    samples = args.steps * 64
    return (
        "# What each part of in-context coloring is worth\n\n"
        f"One-shot Dice (J for the videos) on at most {args.limit} test images a class of kinds "
        f"that were not trained on, mean of {args.choices} examples; each variant trained from "
        f"nothing on {samples:,} samples at a canvas of 32, seeds: {args.seeds}"
        f"{' (mean, ± half the range)' if args.seeds > 1 else ''}.\n\n`{line}`\n\n"
        + "\n".join(rows)
        + "\n"
    )


def _cell(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {(max(values) - min(values)) / 2:.3f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
