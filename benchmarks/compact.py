"""What compact keys lose: Dice and time with all tokens of a key, and with fewer.

    python -m benchmarks.compact --data data --sets cracks:road-cracks --tokens 64 16 --limit 8

Each number of tokens has the threshold that is best on at most four validation images, and is
scored on test images; times are those of whole predictions, one after the other on each image.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.reliability import SETS
from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import choose_threshold, counted_pixels, measure
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import load_recipe
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.workflows.finish import COMPACTING
from prompttune.zoo.store import find_key

VALIDATION = 4


def main() -> None:
    """Print the table (Markdown), row by row."""
    given = _arguments()
    segmenter = Segmenter(given.backbone, precision=given.precision)
    heads = [
        text for count in ("all", *given.tokens) for text in (f"{count} tokens", "relative time")
    ]
    print(f"| key | images | {' | '.join(heads)} |\n|{'---|' * (2 + len(heads))}", flush=True)
    for each in given.sets:
        name, folder = each.split(":")
        key, card = load_key(find_key(name, given.prompts_zoo))
        if not isinstance(key, Prompt):
            raise InputError(f"{name}: a key of groups; give one of a single prompt")
        kept = {field: card.recipe[field] for field in ("seed", "val_fraction")}
        data = task_data(load_recipe(card.task, kept), given.data / folder)
        images = [data.train[index].image for index in range(min(COMPACTING, len(data.train)))]
        whole = replace(key, kept_tokens=None)
        prompts = [whole, *(segmenter.compact(whole, images, count) for count in given.tokens)]
        val, test = data.val[:VALIDATION], data.test[: given.limit]
        prompts = [_at_best(segmenter, prompt, val, given.overlap) for prompt in prompts]
        dices: list[list[float]] = [[] for _ in prompts]
        seconds = np.zeros(len(prompts))
        for sample in test:
            counted = counted_pixels(sample.class_map, sample.field_of_view)
            for index, prompt in enumerate(prompts):
                began = time.perf_counter()
                result = segmenter.predict(sample.image, prompt, given.overlap)
                seconds[index] += time.perf_counter() - began
                scored = measure(result.scores, result.classes, sample.class_map, counted)
                dices[index].append(scored.dice)
        cells = [
            text
            for values, took in zip(dices, seconds / seconds[0], strict=True)
            for text in (f"{np.nanmean(values):.4f}", f"{took:.2f}")
        ]
        print(f"| {name} | {len(test)} | {' | '.join(cells)} |", flush=True)


def _at_best(
    segmenter: Segmenter, prompt: Prompt, val: Sequence[LoadedSample], overlap: float
) -> Prompt:
    """Return a prompt with the threshold that is best on validation images."""
    answers = (
        (
            segmenter.predict(sample.image, prompt, overlap).scores,
            sample.class_map,
            counted_pixels(sample.class_map, sample.field_of_view),
        )
        for sample in val
    )
    return replace(prompt, threshold=choose_threshold(answers)[0])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compact", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets' folders")
    add("--sets", nargs="+", default=SETS, metavar="KEY:FOLDER")
    add("--tokens", type=int, nargs="+", default=[64, 16])
    add("--limit", type=int, help="test images a set, at most (default: all)")
    add("--overlap", type=float, default=0.125)
    add("--prompts_zoo", type=Path)
    add("--backbone", default=DEFAULT_BACKBONE)
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
