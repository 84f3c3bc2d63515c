"""A generated set of very many classes: one example of each, and a tuned key in groups of classes.

    python -m benchmarks.many_classes

Each image is parted into regions, and each class has a look of its own: two colors and a pattern.
The key begins with the examples themselves: each group of classes has a prompt of several images
that together show its classes, colored far apart. A few groups learn at a step, in turn.
A companion learns beside it. All answer as `prompttune benchmark ade20k` does, and mIoU is counted
as there.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import prompttune
from prompttune.data.layouts import LoadedSample
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, give_companion
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.protocol import Options
from prompttune.protocols.semantic import Semantic, SemanticSet
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.companion import train_companion
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.run import Machine
from prompttune.utils.paths import DEFAULT_BACKBONE

SIDE, REGIONS, PATTERNS = 128, 9, 5
Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Score each way, and print the table (Markdown), a row as soon as it is known."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    segmenter = Segmenter(given.backbone, precision=given.precision)
    recipe = _recipe(given, segmenter.network.config.canvas)
    train = [draw_image(number, given.classes) for number in range(given.train)]
    test = [draw_image(10_000 + number, given.classes) for number in range(given.test)]
    data = _set(recipe.classes, train, test)
    print(f"{given.classes} classes, {given.train} training and {given.test} test images, "
          f"{given.threads} thread(s), {given.backbone}, {given.precision}")  # fmt: skip
    print("| | mIoU | s an image | s to learn | GiB at most |\n|---|---|---|---|---|", flush=True)
    for row in given.rows:
        started = time.process_time()
        keys, told = ROWS[row](recipe, train, segmenter)
        learned = time.process_time() - started
        value, seconds = _score(segmenter, data, Options(prompts=keys))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cells = f"{value:.3f} | {seconds / len(test):.1f} | {learned:.0f} | {memory:.2f}"
        print(f"| {told} | {cells} |", flush=True)


CHOSEN = (
    "group", "max_steps", "batch", "init", "augment", "prompts", "groups_a_step", "scale",
    "val_every", "val_crops", "val_fraction", "lr", "companion",
)  # fmt: skip
"""Values of the recipe that are not those of any task of its own."""


def _recipe(given: argparse.Namespace, canvas: int) -> Recipe:
    """Images are seen whole: the scale makes one window of each."""
    return Recipe(
        "many", tuple(f"class {number}" for number in range(1, given.classes + 1)),
        group=given.group, max_steps=given.steps, batch=given.batch, init=given.init, augment=False,
        prompts=given.prompts, groups_a_step=given.groups_a_step, scale=canvas / SIDE,
        val_every=given.steps, val_crops=8, val_fraction=0.05, lr=given.lr,
        companion=given.companion,
    )  # fmt: skip


Key = Prompt | Composition
Row = tuple[tuple[Key, ...], str]
"""The keys that answer, none for examples, and how the table names them."""


def _one(recipe: Recipe, train: Sequence[Pair], segmenter: Segmenter) -> Row:
    return (), "one example a class"


def _begun(recipe: Recipe, train: Sequence[Pair], segmenter: Segmenter) -> Row:
    start = starting_prompt(recipe, segmenter.network.config.canvas, _samples(train))
    return (start,), f"the key before tuning ({recipe.init})"


def _companion(recipe: Recipe, train: Sequence[Pair], segmenter: Segmenter) -> Row:
    (start,), _ = _begun(recipe, train, segmenter)
    steps = round(recipe.companion * recipe.max_steps) * len(start.parts)
    found = TaskData(_samples(train), [], [], "drawn", "pairs", generated=True)
    canvas = segmenter.network.config.canvas
    network = train_companion(recipe, canvas, found, steps, Machine(bf16=segmenter.bf16))
    key = give_companion(start, network.folded(1.0))
    return (key,), f"the companion alone, {steps} steps of {recipe.batch} images"


def _tuned(recipe: Recipe, train: Sequence[Pair], segmenter: Segmenter) -> Row:
    key = prompttune.tune(
        train, classes=recipe.classes, backbone=segmenter, progress=False,
        precision="bf16" if segmenter.bf16 else "fp32",
        **{name: getattr(recipe, name) for name in CHOSEN},
    )  # fmt: skip
    companion = key.parts[0].companion
    share = 0.0 if companion is None else companion.share
    told = f"tuned, {recipe.max_steps} steps of {recipe.batch} images"
    return (key,), f"{told}; the companion counts {share:.2f}"


ROWS = {"one": _one, "begun": _begun, "companion": _companion, "tuned": _tuned}


def _samples(train: Sequence[Pair]) -> list[LoadedSample]:
    return [LoadedSample(str(number), *pair) for number, pair in enumerate(train)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.many_classes", description=__doc__)
    add = parser.add_argument
    add("--rows", nargs="+", choices=ROWS, default=["one", "begun", "tuned"])
    add("--classes", type=int, default=150)
    add("--group", type=int, default=5, help="classes of a prompt")
    add("--prompts", type=int, default=5, help="images of a prompt")
    add("--groups_a_step", type=int, default=3)
    add("--steps", type=int, default=60)
    add("--batch", type=int, default=4)
    add("--lr", type=float, default=0.02)
    add("--companion", type=float, default=4.0, help="its steps, for each step and group")
    add("--init", choices=("example", "mosaic"), default="example")
    add("--train", type=int, default=120)
    add("--test", type=int, default=20)
    add("--threads", type=int, default=1)
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    add("--backbone", default=DEFAULT_BACKBONE)
    return parser.parse_args()


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


if __name__ == "__main__":
    main()
