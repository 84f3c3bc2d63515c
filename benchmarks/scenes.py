"""What a generated scene costs, drawn one at a time and in batches.

    OMP_NUM_THREADS=1 python -m benchmarks.scenes

Prints CPU time, so that other work on the machine counts little. Both ways draw pairs of scenes, of
which four in five are hard, by turns.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
import torch

from prompttune.pretraining.dataset import Mix
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.layering import Plan, draw_layers
from prompttune.synthetic.batched.painting import paint
from prompttune.synthetic.scenes import Task

MIX = Mix(hard=0.8, instances=0.06)
PIXELS = 1 << 17
"""Of one family at a time: what the caches of a CPU hold."""


def one_by_one(pairs: int, size: int, seed: int) -> None:
    """Draw pairs of scenes, `size x size` pixels each, by OpenCV."""
    for number in range(pairs):
        rng = np.random.default_rng((seed, number))
        task = Task.draw(rng, hard=rng.random() < MIX.hard)
        for _ in range(2):
            task.scene(rng, size)


@torch.no_grad()
def in_a_batch(pairs: int, size: int, seed: int) -> None:
    """Draw pairs of scenes, `size x size` pixels each, by tensor operations."""
    plan = Plan.draw(Draws.of(seed, torch.arange(pairs)), MIX)
    paint(plan, draw_layers(plan, torch.device("cpu"), size, PIXELS), PIXELS)


def cost(draw: Callable[[int, int, int], None], pairs: int, size: int, seed: int) -> float:
    """Return the CPU time of one scene, in milliseconds."""
    begun = time.process_time()
    draw(pairs, size, seed)
    return (time.process_time() - begun) / (2 * pairs) * 1e3


def main() -> None:
    """Time both ways at some sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 128], help="pixels")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for size in given.sizes:
        times: dict[str, list[float]] = {}
        for repeat in range(given.repeats + 1):
            for draw in (one_by_one, in_a_batch):
                spent = cost(draw, given.pairs, size, repeat)
                if repeat:  # the first fills caches
                    times.setdefault(draw.__name__, []).append(spent)
        said = ", ".join(f"{name} {median(each):.2f} ms" for name, each in times.items())
        print(f"{size} x {size}: {said}", flush=True)


if __name__ == "__main__":
    main()
