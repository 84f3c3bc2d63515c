"""Predictions that hit every rule of the metrics; the same on every machine."""

from collections.abc import Iterator

import numpy as np

SHAPE = (36, 48)
Masks = tuple[np.ndarray, np.ndarray]


def blob(random: np.random.RandomState, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a random ellipse, `H x W bool`."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = random.randint(0, shape[0]), random.randint(0, shape[1])
    a, b = random.randint(3, 14), random.randint(3, 14)
    return ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1


def binary_cases() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Give answer, truth, and ignored pixels: empty, full, at borders, apart, and random."""
    random = np.random.RandomState(7)
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    corner, line = empty.copy(), empty.copy()
    corner[:5, :5], line[:, -1] = True, True
    ignored = empty.copy()
    ignored[10:20] = True
    fixed = (empty, full, corner, line)
    for found in fixed:
        for truth in fixed:
            yield found, truth, None
            yield found, truth & ~ignored, ignored
    yield empty, empty, full
    for number in range(16):
        truth = blob(random)
        found = np.roll(truth, random.randint(-3, 4, 2), (0, 1)) if number % 3 else blob(random)
        skipped = blob(random) & ~truth if number % 2 else None
        yield found, truth, skipped


def video(objects: int = 3, frames: int = 8) -> Masks:
    """Return answers and truth, `T x H x W uint8`: objects vanish, come back, touch the border."""
    random = np.random.RandomState(11)
    found, truth = (np.zeros((frames, *SHAPE), np.uint8) for _ in "ab")
    start = [blob(random) for _ in range(objects)]
    for frame in range(frames):
        for number, shape in enumerate(start, 1):
            if not (number == 2 and frame in (3, 4)):  # it vanishes
                truth[frame][np.roll(shape, (frame, 2 * frame), (0, 1))] = number
            if not (number == 3 and frame > 4):  # it is lost
                found[frame][np.roll(shape, (frame + 1, 2 * frame - 1), (0, 1))] = number
    truth[2, :3] = 255
    truth[0] = np.where(truth[0] == 0, 0, truth[0])
    truth[0, :2, :2], truth[0, -2:, :2], truth[0, :2, -2:] = 1, 2, 3
    return found, truth


def semantic_cases(classes: int = 6) -> Iterator[Masks]:
    """Give answers and truth of indices from 0; 255 is ignored, the last class never occurs."""
    random = np.random.RandomState(3)
    for number in range(6):
        truth = random.randint(0, classes - 1, SHAPE).astype(np.uint8)
        found = np.where(random.rand(*SHAPE) < 0.6, truth, random.randint(0, classes - 1, SHAPE))
        truth[random.rand(*SHAPE) < 0.1] = 255
        if number == 0:
            truth[:] = 255
        if number == 1:
            found[:] = 2
        yield found.astype(np.uint8), truth


def panoptic_cases() -> Iterator[tuple[np.ndarray, dict, np.ndarray, dict]]:
    """Give segment maps and what each segment is: `{id: (category, is crowd)}`.

    IoU of exactly one half, void, crowds of the same and another category, a category that only the
    answer has, segments of the answer that lie in void.
    """
    truth, found = np.zeros((10, 20), np.int64), np.zeros((10, 20), np.int64)
    truth[:5, :10], found[:5, :5] = 1, 1  # half of it: no match
    truth[5:, :10], found[5:, :6] = 2, 2  # six tenths
    truth[:5, 12:], found[:3, 12:16], found[3:5, 12:] = 3, 3, 4  # a crowd
    found[6:8, 12:] = 5  # in void
    truth[8:, 14:], found[8:, 10:] = 70_000, 66_000
    own = {1: (1, False), 2: (1, False), 3: (1, False), 4: (2, False), 5: (3, False)}
    own |= {66_000: (100, False)}
    yield found, own, truth, {1: (1, False), 2: (1, False), 3: (1, True), 70_000: (100, False)}
    yield np.zeros((6, 6), np.int64), {}, np.ones((6, 6), np.int64), {1: (2, False)}
    random = np.random.RandomState(5)
    for _ in range(6):
        truth = random.randint(0, 5, (6, 6)).repeat(4, 0).repeat(4, 1)
        keep = random.rand(*truth.shape) < 0.8
        found = np.where(keep, truth, random.randint(0, 6, truth.shape))
        kinds = {n: (int(random.choice([1, 2, 100])), False) for n in np.unique(found) if n}
        true = {
            int(n): (kinds.get(n, (1, False))[0] if random.rand() < 0.8 else 3, n == 4)
            for n in np.unique(truth) if n
        }  # fmt: skip
        yield found, {int(n): k for n, k in kinds.items()}, truth, true
