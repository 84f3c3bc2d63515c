"""One picture of what a backbone makes of one example: a row a kind of images.

Without data all of it is generated, so that the picture may be shown anywhere. No row is chosen by
how well it went.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from prompttune.evaluation.page import FALSE, HIT, MISSED, color_answer
from prompttune.evaluation.rows import ROWS
from prompttune.evaluation.suite.problems import Part, Problem, present_sets, read_problems
from prompttune.evaluation.suite.report import LABELS
from prompttune.evaluation.suite.trials import Setting, make_bench
from prompttune.inference.segmenter import Segmenter
from prompttune.utils.contact_sheet import Written, fit, write_png

SIDE, GAP, STRIP, FONT_SIZE = 200, 8, 28, 15
COLUMNS = ("example", "its mask", "query", "answer")
MEANINGS = {"found": HIT, "missed": MISSED, "false": FALSE}


def draw_suite(
    path: Path,
    segmenter: Segmenter,
    setting: Setting,
    data: Path | None,
    names: Sequence[str] | None,
) -> str:
    """Draw one row a set of `data`, or a kind of generated images; return what was drawn."""
    if data is None:
        from prompttune.evaluation.suite.generated import generated_problems

        problems = generated_problems(segmenter.network.config.canvas)
    else:
        few = Part(validation=setting.part.validation, scale=setting.part.scale)
        problems = {name: _largest(data, name, few) for name in present_sets(data, names)}
    rows = [_row(name, problem, segmenter, setting) for name, problem in problems.items()]
    write_png(path, _sheet(rows))
    return ", ".join(problems)


def _largest(data: Path, name: str, part: Part) -> Problem:
    """Return the class of a set that most images show."""
    return max(read_problems(data, name, part), key=lambda problem: len(problem.test))


def _row(
    name: str, problem: Problem, segmenter: Segmenter, setting: Setting
) -> tuple[str, list[np.ndarray]]:
    """Return a row's label and its panels, `H x W x 3 uint8` each: the query is the middle one."""
    query = problem.test[len(problem.test) // 2]
    bench = make_bench(replace(problem, test=[query]), segmenter, setting.seed, setting)
    (candidate,) = bench.candidates(ROWS["one-shot"])
    trial = bench.try_out(candidate)
    class_map = trial.class_map(0, query.class_map.shape)
    value = getattr(trial.mean, problem.metric)
    prompt = bench.from_examples(bench.drawn[:1])
    seen = [planes[0].permute(1, 2, 0).numpy() for planes in prompt.at(bench.canvas)]
    answer = color_answer(class_map, query.class_map, query.field_of_view, prompt.palette)
    label = f"{name}: {problem.name}, {LABELS[problem.metric]} {value:.2f}"
    return label, [*((each * 255).round().astype(np.uint8) for each in seen), query.image, answer]


def _sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Image.Image:
    """Lay labeled rows out below each other, with heads above and a key below."""
    width = len(COLUMNS) * (SIDE + GAP) + GAP
    height = len(rows) * (SIDE + STRIP) + 2 * STRIP + GAP
    sheet = Written((width, height), font_size=FONT_SIZE)
    for column, title in enumerate(COLUMNS):
        sheet.text(title, (GAP + column * (SIDE + GAP), STRIP // 2))
    for number, (label, panels) in enumerate(rows):
        top = STRIP + number * (SIDE + STRIP)
        sheet.text(label, (GAP, top + STRIP // 2))
        for column, panel in enumerate(fit(panel, SIDE) for panel in panels):
            left, over = GAP + column * (SIDE + GAP), top + STRIP
            h, w = panel.shape[:2]
            sheet.paste(panel, (left + (SIDE - w) // 2, over + (SIDE - h) // 2))
    sheet.legend(MEANINGS, (GAP, height - STRIP // 2 - GAP // 2))
    return sheet.image
