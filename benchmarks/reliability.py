"""How well keys know how right they are, and which images are none of theirs.

    python -m benchmarks.reliability --data data --sets retina:retina-drive cracks:road-cracks

For each key, on the test images of its set: Dice, the expected calibration error before and after
calibration, the correlation of the expected with the true Dice, and whether its `unlikeness` tells
these images from those of the other sets (area under the ROC curve; the share of its own that it
would refuse, of others that it would take). A key that knows nothing yet is first calibrated as
`tune` does, in memory.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from prompttune.data.inputs import load_image
from prompttune.evaluation.metrics import Reliability, auc, counted_pixels, measure
from prompttune.inference.quality import BEST, Quality
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData, task_data
from prompttune.tasks.recipe import load_recipe
from prompttune.utils.image_files import images_below
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.workflows.calibrate import calibrated
from prompttune.zoo.store import find_key

SETS = (
    "retina:retina-drive", "aerial:aerial-roads", "cracks:road-cracks", "membranes:em-membranes",
)  # fmt: skip
OTHERS = ("car-parts", "video-davis")
"""Folders whose images are strangers to all of these."""
HEAD = (
    "| key | images | Dice | ECE of the scores | ECE | r of expected Dice | mean error of it | "
    "AUROC of strangers | own refused | strangers taken | seconds to calibrate |"
)


def main() -> None:
    """Print the table (Markdown), row by row."""
    given = _arguments()
    segmenter = Segmenter(given.backbone, precision=given.precision)
    folders = [each.split(":")[1] for each in given.sets] + [
        name for name in OTHERS if (given.data / name).is_dir()
    ]
    print(HEAD + "\n" + "|---" * 11 + "|")
    for each in given.sets:
        name, folder = each.split(":")
        key, card = load_key(find_key(name, given.prompts_zoo))
        kept = {field: card.recipe[field] for field in ("seed", "val_fraction")}
        recipe = load_recipe(card.task, kept)
        data = task_data(recipe, given.data / folder)
        began = time.perf_counter()
        if given.anew or key.parts[0].calibration is None:
            key = calibrated(key, segmenter, data, recipe.overlap, recipe.seed)
        took = time.perf_counter() - began
        strangers = {
            other: list(_images(given.data / other, given.strangers))
            for other in folders
            if other != folder
        }
        asked = BEST if given.quality == "best" else Quality(recipe.overlap, flips=False)
        cells = _row(segmenter, key, data, asked, given.limit, strangers)
        print(f"| {name} | {' | '.join(cells)} | {took:.0f} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.reliability", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets' folders")
    add("--sets", nargs="+", default=SETS, metavar="KEY:FOLDER")
    add("--limit", type=int, help="test images a set, at most (default: all)")
    add("--strangers", type=int, default=12, help="images of each other set (default: 12)")
    add("--quality", choices=("plain", "best"), default="plain", help="best: at five zooms")
    add("--anew", action="store_true", help="calibrate keys anew that are calibrated already")
    add("--prompts_zoo", type=Path)
    add("--backbone", default=DEFAULT_BACKBONE)
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    return parser.parse_args()


def _images(folder: Path, count: int) -> Iterator[Path]:
    """Choose images of a folder's test part, evenly; of a folder without one, of all."""
    test = folder / "test" / "images"
    found = list(images_below(test if test.is_dir() else folder / "images"))
    yield from found[:: max(1, len(found) // count)][:count]


def _row(
    segmenter: Segmenter,
    key: Prompt | Composition,
    data: TaskData,
    asked: Quality,
    limit: int | None,
    strangers: dict[str, list[Path]],
) -> list[str]:
    decides = key.averaged() if len(asked.zooms) > 1 else key
    reliability, dices, errors, own = Reliability(decides), [], [], []
    for sample in data.test[:limit]:
        result = segmenter.predict(sample.image, key, asked.overlap, zooms=asked.zooms)
        counted = counted_pixels(sample.class_map, sample.field_of_view)
        dice = measure(result.scores, result.classes, sample.class_map, counted).dice
        reliability.add(result.scores, result.classes, sample, dice)
        dices.append(dice)
        if result.expected_dice is not None:
            errors.append(abs(result.expected_dice - dice))
        own.append(result.unlikeness or 0.0)
    others = [
        segmenter.predict(load_image(path), key, asked.overlap).unlikeness or 0.0
        for paths in strangers.values()
        for path in paths
    ]
    values = np.array([*own, *others], np.float32)
    is_stranger = np.arange(len(values)) >= len(own)
    return [
        str(len(dices)), f"{np.nanmean(dices):.3f}", f"{reliability.ece_before:.3f}",
        f"{reliability.ece:.3f}", f"{reliability.expected_dice_r:.2f}", f"{np.mean(errors):.3f}",
        f"{auc(values, is_stranger):.3f}", f"{np.mean(values[~is_stranger] > 1):.0%}",
        f"{np.mean(values[is_stranger] <= 1):.0%}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
