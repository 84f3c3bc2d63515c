"""A class map of three things, and scores."""

from pathlib import Path

import numpy as np

from prompttune.geo.georeference import read_georeference
from prompttune.outputs.formats import Answer
from prompttune.prompts.palette import Palette

MAP = np.zeros((20, 24), np.uint8)


MAP[3:13, 4:14], MAP[6:9, 7:10], MAP[15:18, 2:22] = 1, 0, 2


SCORES = np.random.default_rng(0).random((2, 20, 24), np.float32)


def answer(image: Path, mm: tuple[float, float] | None = None) -> Answer:
    place = read_georeference(image)
    return Answer(image, None, MAP, Palette.of(["pond", "road"]), place, 1, SCORES, mm)
