"""Scenes say what they show."""

import numpy as np

from prompttune.synthetic.scenes import Task
from prompttune.synthetic.shapes import MOST


def test_scenes_of_a_task_share_its_classes() -> None:
    rng = np.random.default_rng(1)
    with_parts = 0
    for number in range(40):
        task = Task.draw(rng, hard=number % 2 > 0, single_things=number % 3 == 0)
        scene = task.scene(rng, 40)
        assert scene.image.shape == (40, 40, 3)
        assert scene.image.dtype == np.float32
        assert 0 <= scene.image.min() <= scene.image.max() <= 1
        labels = {layer.label for layer in task.layers}
        parts = {layer.part.label for layer in task.layers if layer.part}
        assert set(np.unique(scene.classes)) <= {0} | labels | parts
        assert scene.things.max() <= MOST
        with_parts += len(parts) > 0
    assert with_parts > 3
