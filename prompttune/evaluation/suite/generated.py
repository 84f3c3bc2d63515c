"""Problems of generated images, from seeds that no training has."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.suite.problems import Problem
from prompttune.synthetic.fundus import generate_fundus
from prompttune.synthetic.scenes import FAMILIES, Task
from prompttune.synthetic.shapes import Shape
from prompttune.tasks.recipe import load_recipe

ROW_COUNT = 6
SEED = 1_000_000_007
"""Of generated images; training draws from pairs (small seed, index)."""
SCENES = 4
"""An example, two that choose the threshold, and the query."""
ATTEMPTS = 1000
MIN_SHARE, MAX_SHARE = 0.03, 0.7
"""Share of a generated image that its class covers."""


def generated_problems(canvas: int) -> dict[str, Problem]:
    """Return five kinds of generated scenes and retina vessels, by name."""
    families = list(dict.fromkeys(FAMILIES))
    count = ROW_COUNT - 1
    problems = {}
    for place in range(count):
        family = families[place * len(families) // count]
        problems[f"generated {family.__name__}"] = _generated_problem(family, place, canvas)
    eyes = [generate_fundus(SEED + place) for place in range(SCENES)]
    problems["generated fundus"] = _problem("vessel", load_recipe("retina").scale, eyes)
    return problems


def _generated_problem(family: Shape, place: int, canvas: int) -> Problem:
    """Return the first task with a class of a family that shows in all its scenes."""
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng((SEED, place, attempt))
        task, label = _task_with(family, rng)
        scenes = [_scene(task, rng, canvas, label) for _ in range(SCENES)]
        shares = [scene.class_map.mean() for scene in scenes]
        if min(shares) > MIN_SHARE and max(shares) < MAX_SHARE:
            return _problem("shape", None, scenes)
    raise RuntimeError(f"{family.__name__}: no task in {ATTEMPTS} shows its class well")


def _task_with(family: Shape, rng: Generator) -> tuple[Task, int]:
    """Return a task of which one class is of a family, and that class."""
    task = Task.draw(rng, hard=True)
    chosen = next(layer for layer in task.layers if layer.label)
    others = tuple(layer for layer in task.layers if layer is not chosen)
    above = replace(chosen, shape=family, part=None)  # of all layers, so that none hides it
    return replace(task, layers=(*others, above)), chosen.label


def _scene(task: Task, rng: Generator, canvas: int, label: int) -> LoadedSample:
    scene = task.scene(rng, canvas)
    pixels = (scene.image * 255).round().astype(np.uint8)
    return LoadedSample("generated", pixels, (scene.classes == label).astype(np.uint8))


def _problem(name: str, scale: float | None, samples: list[LoadedSample]) -> Problem:
    """Return a problem whose example is the first sample, whose query is the last."""
    return Problem(name, "dice", scale, samples[:1], samples[1:-1], samples[-1:])
