"""Time, memory and difference of our SegGPT beside transformers', each as a ratio.

    OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.backbone forward step

Every measurement is a process of its own, one at a time, ours and transformers' in turn, with the
same random weights. `floor` is the time over what the machine's best matrix product would need for
the operations that the exact maths asks for.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.work import CONFIGS, TASKS, operations

ROOT = Path(__file__).parents[1]
COLUMNS = ("transformers", "ours", "time", "memory", "floor (tf)", "floor (ours)", "difference")


def main() -> None:
    """Run the tasks that were asked for and print the table (Markdown)."""
    given = _arguments()
    print(f"{given.config}, batch {given.batch}, {given.threads} thread(s), {given.device}")
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for name in given.tasks:
        pairs = [_pair(name, given) for _ in range(given.repeats)]
        print(f"| {name} | {' | '.join(_cells(name, pairs, given))} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.backbone", description=__doc__)
    add = parser.add_argument
    add("tasks", nargs="*", metavar="TASK", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    add("--config", choices=CONFIGS, default="vit-large", help="sizes (default: %(default)s)")
    add("--repeats", type=int, default=1, help="pairs of measurements (default: 1)")
    add("--batch", type=int, default=1, help="queries at once (default: 1)")
    add("--threads", type=int, default=1, help="(default: 1)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    given = parser.parse_args()
    if unknown := set(given.tasks) - set(TASKS):
        parser.error(f"unknown task {sorted(unknown)[0]}; there are {', '.join(TASKS)}")
    return given


def _pair(task: str, given: argparse.Namespace) -> dict[str, Any]:
    """Measure both; return their results and the largest relative difference of their answers."""
    results: dict[str, Any] = {}
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        for implementation in ("transformers", "ours"):
            answer = Path(folder) / f"{implementation}.pt"
            options = [f"--{name}={getattr(given, name)}"
                       for name in ("config", "batch", "threads", "device")]  # fmt: skip
            command = ["-m", "benchmarks.backbone_worker", implementation, task, str(answer)]
            done = subprocess.run(
                [sys.executable, *command, *options], cwd=ROOT, stdout=subprocess.PIPE, check=True
            )
            results[implementation] = json.loads(done.stdout.splitlines()[-1])
            answers[implementation] = torch.load(answer, weights_only=True)
    both = zip(answers["ours"], answers["transformers"], strict=True)
    errors = [((ours - theirs).abs().max() / theirs.abs().max()).item() for ours, theirs in both]
    return results | {"difference": max(errors)}


def _cells(name: str, pairs: list[dict[str, Any]], given: argparse.Namespace) -> list[str]:
    work = operations(TASKS[name], CONFIGS[given.config], given.batch)
    floors = {
        who: min(pair[who]["seconds"] / (work / pair[who]["rate"]) for pair in pairs)
        for who in ("transformers", "ours")
    }

    def ratio(of: str) -> str:
        ratios = sorted(pair["ours"][of] / pair["transformers"][of] for pair in pairs)
        spread = f" ({ratios[0]:.2f}-{ratios[-1]:.2f})" if len(ratios) > 1 else ""
        return f"{median(ratios):.2f}{spread}"

    def absolute(who: str) -> str:
        best = min(pairs, key=lambda pair: pair[who]["seconds"])[who]
        return f"{best['seconds']:.2f} s, +{best['memory'] / 2**20:.0f} MiB"

    return [
        absolute("transformers"),
        absolute("ours"),
        ratio("seconds"),
        ratio("memory"),
        f"{floors['transformers']:.2f}",
        f"{floors['ours']:.2f}",
        f"{max(pair['difference'] for pair in pairs):.1e}",
    ]


if __name__ == "__main__":
    main()
