"""What the shipped keys answer, whatever is asked beside them.

    OMP_NUM_THREADS=1 python -m benchmarks.same_answer

Each key is asked for its image in `tests/answers` and for a part of it, one window at a time and
alone. Then the same is asked in larger batches, in other orders, mixed with other keys, and with
more threads, in fp32 on the processor; masks and scores are compared. `benchmarks.instructions`
compares processors.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.utils.pages import table
from prompttune.zoo.store import load_prompt

ROOT = Path(__file__).parents[1]
BATCHES, ORDERS, THREADS = (2, 3, 8, 32), 3, (2, 3, 4)
PART = (100, 130)
"""Height and width of the part."""
Question = tuple[np.ndarray, Prompt]
HEADS = ["asked", "answers", "masks that differ", "scores differ by"]


@dataclass
class Row:
    """One line of the table."""

    what: str
    answers: int = 0
    differing: int = 0
    """Masks that are not the same, pixel by pixel."""
    most: float = 0.0
    """Largest difference of a score."""

    def compare(self, result: Result, alone: Result) -> None:
        """Count one answer."""
        self.answers += 1
        self.differing += not np.array_equal(result.classes, alone.classes)
        self.most = max(self.most, float(np.abs(result.scores - alone.scores).max()))

    def cells(self) -> list[str]:
        """Return the row of a Markdown table."""
        return [self.what, str(self.answers), str(self.differing), f"{self.most:.1e}"]


def questions(names: Sequence[str]) -> list[Question]:
    """Return images and keys: of each key its stored image, and a part of it."""
    sys.path[:0] = [str(ROOT / "tests")]
    from stored_answers import ZOO, load_answer

    asked = []
    for name in names:
        image, key = load_answer(name)[0], load_prompt(ZOO / name)
        asked += [(image, key), (np.ascontiguousarray(image[: PART[0], : PART[1]]), key)]
    return asked


def compare(names: Sequence[str], seed: int = 0) -> Iterator[Row]:
    """Ask keys in every way; yield a row for each.

    Args:
        names: of shipped keys with stored answers.
        seed: of the orders.
    """
    segmenter, asked = Segmenter(device="cpu", precision="fp32"), questions(names)
    alone = [segmenter.predict(image, key, batch_size=1) for image, key in asked]
    for size in BATCHES:
        row = Row(f"batches of {size} windows")
        for (image, key), result in zip(asked, alone, strict=True):
            row.compare(segmenter.predict(image, key, batch_size=size), result)
        yield row
    yield _of_folders(segmenter, asked, alone, random.Random(seed))
    yield _mixed(segmenter, asked, alone, random.Random(seed))
    before = torch.get_num_threads()
    for threads in THREADS:
        torch.set_num_threads(threads)
        row = Row(f"{threads} threads")
        for (image, key), result in zip(asked, alone, strict=True):
            row.compare(segmenter.predict(image, key, batch_size=1), result)
        torch.set_num_threads(before)
        yield row


def _of_folders(
    segmenter: Segmenter, asked: list[Question], alone: list[Result], rng: random.Random
) -> Row:
    """Ask each key for its images as for a folder, in several orders."""
    row = Row(f"images of one key in {ORDERS} orders")
    for key in dict.fromkeys(key for _, key in asked):
        own = [index for index, (_, of) in enumerate(asked) if of is key]
        for _ in range(ORDERS):
            order = [*own, *own]
            rng.shuffle(order)
            results = segmenter.stream([asked[index][0] for index in order], key)
            for index, result in zip(order, results, strict=True):
                row.compare(result, alone[index])
    return row


def _mixed(
    segmenter: Segmenter, asked: list[Question], alone: list[Result], rng: random.Random
) -> Row:
    """Ask all images with their keys in one list, in several orders."""
    row = Row(f"all keys in one list, in {ORDERS} orders")
    for _ in range(ORDERS):
        order = [*range(len(asked))]
        rng.shuffle(order)
        images, keys = zip(*(asked[index] for index in order), strict=True)
        for index, result in zip(order, segmenter.predict([*images], [*keys]), strict=True):
            row.compare(result, alone[index])
    return row


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", nargs="+", help="names of shipped keys (default: all)")
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT / "tests")]
    from stored_answers import stored

    rows = []
    for row in compare(given.keys or [*stored()]):
        print(" | ".join(row.cells()), file=sys.stderr, flush=True)
        rows.append(row)
    print(table(HEADS, [row.cells() for row in rows]))
    sys.exit(any(row.differing for row in rows))


if __name__ == "__main__":
    main()
