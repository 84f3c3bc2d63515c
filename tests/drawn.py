"""A drawn square, and images that it lies in."""

from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.data.layouts import find_split, load_sample

HEIGHT, WIDTH = 20, 40


INSIDE = np.zeros((HEIGHT, WIDTH), bool)


INSIDE[5:15, 4:24] = True


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(path)


def only_map(folder: Path, *classes: str) -> np.ndarray:
    split = find_split(folder, classes=classes)
    (sample,) = {*split.train, *split.val, *split.test}
    return load_sample(sample, len(classes)).class_map
