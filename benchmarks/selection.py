"""What choosing examples from a pool gains over taking any, on a data folder.

    python -m benchmarks.selection --data data/road-cracks --classes crack --scale 0.5

Each way of choosing answers the first validation and test images of the folder's split; the
threshold is the best one on the validation images, Dice is the mean over the test images. `random`
is drawn several times; its row gives mean, standard deviation and the best draw.
"""

import argparse
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from prompttune.data.layouts import LoadedSample, find_split, load_sample
from prompttune.evaluation.metrics import choose_threshold, counted_pixels, dice
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.selection import NearestExamples, Pool, showing
from prompttune.prompts.composition import PromptLike
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.paths import DEFAULT_BACKBONE


def main() -> None:
    """Score each way with each number of shots and print the table (Markdown)."""
    given = _arguments()
    segmenter = Segmenter(given.backbone)
    split = find_split(given.data)
    parts = {"val": split.val, "test": split.test}
    read = partial(load_sample, classes=len(given.classes), values=given.mask_values)
    samples = {name: [read(each) for each in part[: given.images]] for name, part in parts.items()}
    loaded = [read(each) for each in split.train]
    examples = showing([(each.image, each.class_map) for each in loaded], given.classes)
    pool = Pool(segmenter, examples)
    make = partial(
        Prompt.from_examples, classes=given.classes, scale=given.scale,
        canvas=segmenter.network.config.canvas,
    )  # fmt: skip
    score = partial(_score, segmenter, samples["val"], samples["test"], Palette.of(given.classes))
    print(f"{given.data.name}, scale {given.scale}, a pool of {len(examples)}, "
          f"{len(samples['test'])} test images, mean Dice")  # fmt: skip
    print("| shots | random, mean ± sd | random, best | diverse | nearest |\n|---|---|---|---|---|")
    for shots in given.shots:
        draws = [score(make(pool.random(shots, seed))) for seed in range(given.draws)]
        nearest = NearestExamples(pool, shots, Palette.of(given.classes), make)
        spread = statistics.stdev(draws) if len(draws) > 1 else 0.0
        cells = [f"{statistics.fmean(draws):.3f} ± {spread:.3f}", f"{max(draws):.3f}"]
        cells += [f"{score(prompt):.3f}" for prompt in (make(pool.diverse(shots)), nearest)]
        print(f"| {shots} | {' | '.join(cells)} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.selection", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder in a known layout")
    add("--classes", type=lambda text: text.split(","), default=["foreground"])
    add("--foreground", type=int, help="the one value of the masks that is the class")
    add("--scale", type=float, help="canvas pixels an image pixel (default: fit images whole)")
    add("--shots", type=int, nargs="+", default=[1, 4])
    add("--images", type=int, default=12, help="validation and test images (default: 12)")
    add("--draws", type=int, default=5, help="of random (default: 5)")
    add("--backbone", default=DEFAULT_BACKBONE)
    given = parser.parse_args()
    others = set() if given.foreground is None else {0, 255} - {given.foreground}
    given.mask_values = {given.foreground: 1} | dict.fromkeys(others, 0) if others else None
    return given


def _score(
    segmenter: Segmenter,
    validation: Sequence[LoadedSample],
    test: Sequence[LoadedSample],
    palette: Palette,
    prompt: PromptLike,
) -> float:
    """Return the mean Dice on the test images, at the threshold of the validation images."""

    def answers(samples: Sequence[LoadedSample]) -> list[np.ndarray]:
        images = [sample.image for sample in samples]
        return [result.scores for result in segmenter.stream(images, prompt)]

    def counted(sample: LoadedSample) -> np.ndarray:
        return counted_pixels(sample.class_map, sample.field_of_view)

    threshold, _ = choose_threshold(
        (scores, sample.class_map, counted(sample))
        for scores, sample in zip(answers(validation), validation, strict=True)
    )
    values = []
    for scores, sample in zip(answers(test), test, strict=True):
        decided = palette.decide(torch.from_numpy(scores), threshold).numpy()
        inside = counted(sample)
        for index in range(1, len(palette.classes) + 1):
            truth = (sample.class_map == index)[inside]
            if truth.any():
                values.append(dice((decided == index)[inside], truth))
    return statistics.fmean(values)


if __name__ == "__main__":
    main()
