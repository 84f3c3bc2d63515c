"""A generated set of very many classes: one example of each, and a tuned key in groups of classes.

    python -m benchmarks.many_classes

Each image is parted into regions, and each class has a look of its own: two colors and a pattern.
The key begins with the examples themselves: each group of classes has a prompt of several images
that together show its classes, colored far apart. A few groups learn at a step, in turn.
Both ways answer as `prompttune benchmark ade20k` does, and mIoU is counted as there.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import prompttune
from prompttune.data.layouts import LoadedSample
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.protocols.protocol import Options
from prompttune.protocols.semantic import Semantic, SemanticSet
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.init import starting_prompt
from prompttune.utils.paths import DEFAULT_BACKBONE

SIDE, REGIONS, PATTERNS = 128, 9, 5
Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Score both ways, and print the table (Markdown)."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    segmenter = Segmenter(given.backbone, precision=given.precision)
    classes = tuple(f"class {number}" for number in range(1, given.classes + 1))
    train = [draw_image(number, given.classes) for number in range(given.train)]
    test = [draw_image(10_000 + number, given.classes) for number in range(given.test)]
    data = _set(classes, train, test)
    one, one_seconds = _score(segmenter, data, Options())
    _say(given, "one example a class", one, one_seconds)
    begun, _ = _score(segmenter, data, Options(prompts=(_start(given, classes, train, segmenter),)))
    _say(given, "the key before tuning", begun)
    started = time.process_time()
    # Images are seen whole: the scale makes one window of each.
    key = prompttune.tune(
        train, classes=classes, backbone=segmenter, precision=given.precision, progress=False,
        group=given.group, max_steps=given.steps, batch=given.batch, init=given.init, augment=False,
        prompts=given.prompts, groups_a_step=given.groups_a_step,
        scale=segmenter.network.config.canvas / SIDE, val_every=given.steps, val_crops=8,
        val_fraction=0.05, lr=given.lr,
    )  # fmt: skip
    seconds = time.process_time() - started
    tuned, tuned_seconds = _score(segmenter, data, Options(prompts=(key,)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{given.classes} classes, {len(key.parts)} groups, {given.train} training and "
          f"{given.test} test images, {given.threads} thread(s), {given.backbone}")  # fmt: skip
    print(f"smallest distance of two colors: {_nearest(classes):.0f} if one prompt bore all, "
          f"{min(_nearest(part.palette.classes) for part in key.parts):.0f} in groups")  # fmt: skip
    print("| | mIoU | s an image |\n|---|---|---|")
    print(f"| one example a class | {one:.3f} | {one_seconds / len(test):.1f} |")
    print(f"| {given.init} of training images, before tuning | {begun:.3f} | |")
    print(f"| tuned, {given.steps} steps of {given.batch} images | {tuned:.3f} "
          f"| {tuned_seconds / len(test):.1f} |")  # fmt: skip
    print(f"Tuning took {seconds / given.steps:.2f} s of CPU time a step (start and validation "
          f"included), {memory:.2f} GiB at most.", flush=True)  # fmt: skip


def _say(given: argparse.Namespace, what: str, value: float, seconds: float = 0.0) -> None:
    """Tell on stderr what is known already: the whole takes long."""
    each = f", {seconds / given.test:.1f} s an image" if seconds else ""
    print(f"{what}: {value:.3f}{each}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.many_classes", description=__doc__)
    add = parser.add_argument
    add("--classes", type=int, default=150)
    add("--group", type=int, default=5, help="classes of a prompt")
    add("--prompts", type=int, default=5, help="images of a prompt")
    add("--groups_a_step", type=int, default=3)
    add("--steps", type=int, default=60)
    add("--batch", type=int, default=4)
    add("--lr", type=float, default=0.02)
    add("--init", choices=("example", "mosaic"), default="example")
    add("--train", type=int, default=120)
    add("--test", type=int, default=20)
    add("--threads", type=int, default=1)
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    add("--backbone", default=DEFAULT_BACKBONE)
    return parser.parse_args()


def _start(
    given: argparse.Namespace, classes: tuple[str, ...], train: Sequence[Pair], segmenter: Segmenter
) -> Composition:
    canvas = segmenter.network.config.canvas
    recipe = Recipe(
        "many", classes, group=given.group, init=given.init, scale=canvas / SIDE,
        prompts=given.prompts,
    )  # fmt: skip
    samples = [LoadedSample(str(number), *pair) for number, pair in enumerate(train)]
    start = starting_prompt(recipe, canvas, samples)
    return start if isinstance(start, Composition) else Composition([start])


def draw_image(seed: int, classes: int) -> Pair:
    """Draw an image of a few regions, `SIDE x SIDE`, and its class map."""
    random = np.random.default_rng(seed)
    points = random.random((REGIONS, 2)) * SIDE
    labels = random.choice(classes, REGIONS, replace=False) + 1
    rows, columns = np.indices((SIDE, SIDE))
    apart = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
    class_map = labels[apart.argmin(-1)].astype(np.uint8)
    image = np.zeros((SIDE, SIDE, 3))
    for label in labels:
        inside = class_map == label
        image[inside] = look(int(label), rows, columns)[inside]
    image = image * random.uniform(0.85, 1.15) + random.normal(0, 8, image.shape)
    return image.clip(0, 255).astype(np.uint8), class_map


def look(label: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the pixels of a class: two colors of its own in stripes, checks, dots, or mixed."""
    random = np.random.default_rng(label)
    first, second = random.integers(20, 236, (2, 3))
    width = 3 + label % 4
    pattern = (
        rows // width % 2,
        columns // width % 2,
        (rows // width + columns // width) % 2,
        ((rows % (2 * width) < width) & (columns % (2 * width) < width)).astype(int),
        (rows + columns) // width % 2,
    )[label % PATTERNS]
    return np.where(pattern[..., None] == 1, first, second).astype(float)


def _set(classes: tuple[str, ...], train: Sequence[Pair], test: Sequence[Pair]) -> SemanticSet:
    named = {f"train {number}": pair for number, pair in enumerate(train)}
    named |= {f"test {number}": pair for number, pair in enumerate(test)}
    names = list(named)
    return SemanticSet(classes, names[: len(train)], names[len(train) :], named.__getitem__, False)


def _score(segmenter: Segmenter, data: SemanticSet, options: Options) -> tuple[float, float]:
    benchmark = Semantic(segmenter, data, options)
    started = time.process_time()
    with TemporaryDirectory() as folder:
        run = benchmark.run(benchmark.cases, Path(folder))
        outcomes = dict(zip(benchmark.cases, run, strict=True))
    return benchmark.summary(outcomes)["mIoU"], time.process_time() - started


def _nearest(classes: Sequence[str]) -> float:
    """Return how far the two nearest colors of a palette are apart, of 255 a channel."""
    colors = np.array([(0, 0, 0), *Palette.of(classes).colors], float)
    apart = np.sqrt(((colors[:, None] - colors[None]) ** 2).sum(-1))
    return float(apart[~np.eye(len(colors), dtype=bool)].min())


if __name__ == "__main__":
    main()
