"""Examples that nobody took: scenes of the generated tasks that backbones are trained on."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from prompttune.prompts.prompt import Prompt
from prompttune.synthetic.scenes import Task

MOST_SHOWN = 3
"""Scenes that show more classes are rare: of more, the first ones are shown."""
LEAST_SHARE, LEAST_BACKGROUND = 0.02, 0.2
"""Of the pixels: smaller things, or almost nothing else, make no example."""


def generated_examples(
    classes: tuple[str, ...], scale: float, canvas: int, seed: int
) -> Iterator[Prompt]:
    """Draw examples without end, each of a task of its own, `canvas` pixels a side.

    A scene's first kind of thing stands for the first class, and so on: which scene suits a task
    must be tried out. The same seed gives the same examples.
    """
    rng = np.random.default_rng(seed)
    while True:
        scene = Task.draw(rng, hard=True).scene(rng, canvas)
        class_map = np.where(scene.classes <= len(classes), scene.classes, 0).astype(np.uint8)
        shares = np.bincount(class_map.ravel(), minlength=len(classes) + 1) / class_map.size
        shown = shares[1 : 1 + min(len(classes), MOST_SHOWN)]
        if shown.min() > LEAST_SHARE and shares[0] > LEAST_BACKGROUND:
            pair = (np.rint(255 * scene.image).astype(np.uint8), class_map)
            prompt = Prompt.from_examples([pair], classes, scale=1.0, canvas=canvas)
            yield replace(prompt, scale=scale)
