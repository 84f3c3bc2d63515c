"""A drawn square, and images that it lies in."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.layouts import find_split, load_sample

HEIGHT, WIDTH = 20, 40


INSIDE = np.zeros((HEIGHT, WIDTH), bool)


INSIDE[5:15, 4:24] = True


def tilted_oval() -> np.ndarray:
    """Return an ellipse around (15, 10) with radii 8 and 3, turned clockwise by 30 degrees."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x, y = columns - 15, rows - 10
    along, across = x * 0.75**0.5 + y * 0.5, y * 0.75**0.5 - x * 0.5
    return (along / 8) ** 2 + (across / 3) ** 2 < 1


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(path)


def only_map(folder: Path, *classes: str) -> np.ndarray:
    split = find_split(folder, classes=classes)
    (sample,) = {*split.train, *split.val, *split.test}
    return load_sample(sample, len(classes)).class_map
