"""How near the scale that examples choose comes to the best one found by search.

    python -m benchmarks.scale --data data --sets retina-drive road-cracks

For each set of `prompttune.evaluate` some examples are drawn from its training images. Each answers
test images at the scale that is chosen from it, and at each scale of a list, at the default
threshold. "Best" is the best of the list for the mean of a set, and for each example by itself.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.metrics import counted_pixels, dice
from prompttune.evaluation.suite.problems import SETS, Part, Problem, present_sets, read_problems
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.utils.bounds import AnyScale
from prompttune.utils.paths import DEFAULT_BACKBONE

SCALES: tuple[float | None, ...] = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, None)


def main() -> None:
    """Print a row for each set (Markdown), and under it one for each example."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    segmenter = Segmenter(given.backbone)
    print("| set | example | chosen | Dice | best scale | Dice | seconds to choose |")
    print("|---|---|---|---|---|---|---|")
    for name in present_sets(given.data, given.sets):
        rows = []
        for problem in read_problems(given.data, name, Part(limit=given.images, validation=1)):
            for example in _drawn(problem, given.choices):
                rows.append(_compare(segmenter, problem, example))
                chosen, seconds, own, searched = rows[-1]
                cells = _cells(_named(chosen), own, searched, seconds)
                print(f"| {name} | {problem.name}, {example.name} | {cells} |", flush=True)
        means = [statistics.fmean(row[3][place] for row in rows) for place in range(len(SCALES))]
        seconds = statistics.fmean(row[1] for row in rows)
        cells = _cells("", statistics.fmean(row[2] for row in rows), means, seconds)
        each = statistics.fmean(max(row[3]) for row in rows)
        print(f"| **{name}** | mean; best for each {each:.3f} | {cells} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder that holds the sets' folders")
    add("--sets", nargs="+", default=None, help=f"of {', '.join(SETS)} (default: all)")
    add("--choices", type=int, default=4, help="examples of each class (default: 4)")
    add("--images", type=int, default=6, help="test images of each class (default: 6)")
    add("--threads", type=int, default=2)
    add("--backbone", default=DEFAULT_BACKBONE)
    return parser.parse_args()


def _drawn(problem: Problem, choices: int) -> list[LoadedSample]:
    order = np.random.default_rng(7).permutation(len(problem.train))[:choices]
    return [problem.train[int(place)] for place in order]


def _compare(
    segmenter: Segmenter, problem: Problem, example: LoadedSample
) -> tuple[float | None, float, float, list[float]]:
    """Return the scale that is chosen, the seconds it took, its Dice, and those of `SCALES`."""
    canvas = segmenter.network.config.canvas

    def prompt(scale: AnyScale) -> Prompt:
        pair = example.image, example.class_map
        return Prompt.from_examples([pair], [problem.name], scale, canvas)

    started = time.perf_counter()
    chosen = segmenter.scaled(prompt("auto"))
    seconds = time.perf_counter() - started
    searched = [_dice(segmenter, problem, prompt(scale)) for scale in SCALES]
    return chosen.known_scale, seconds, _dice(segmenter, problem, chosen), searched


def _dice(segmenter: Segmenter, problem: Problem, prompt: Prompt) -> float:
    values = []
    results = segmenter.stream((sample.image for sample in problem.test), prompt)
    for sample, result in zip(problem.test, results, strict=True):
        inside = counted_pixels(sample.class_map, sample.field_of_view)
        values.append(dice((result.classes == 1) & inside, (sample.class_map == 1) & inside))
    return statistics.fmean(values)


def _cells(chosen: str, own: float, searched: Sequence[float], seconds: float) -> str:
    best = int(np.argmax(searched))
    return f"{chosen} | {own:.3f} | {_named(SCALES[best])} | {searched[best]:.3f} | {seconds:.1f}"


def _named(scale: float | None) -> str:
    return "whole" if scale is None else f"{scale:g}"


if __name__ == "__main__":
    main()
