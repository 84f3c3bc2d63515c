"""One picture of what a backbone makes of one example: a row a kind of images.

Without data all of it is generated, so that the picture may be shown anywhere. No row is chosen by
how well it went.
"""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from prompttune.evaluation.figures import FALSE, HIT, INK, MISSED, PAPER, colour_answer
from prompttune.evaluation.rows import ROWS
from prompttune.evaluation.suite.problems import Part, Problem, present_sets, read_problems
from prompttune.evaluation.suite.report import LABELS
from prompttune.evaluation.suite.trials import Setting, make_bench
from prompttune.inference.segmenter import Segmenter
from prompttune.utils.io import write_whole

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
    buffer = BytesIO()
    _sheet(rows).save(buffer, format="PNG")
    write_whole(path, buffer.getvalue())
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
    answer = colour_answer(class_map, query.class_map, query.field_of_view, prompt.palette)
    label = f"{name}: {problem.name}, {LABELS[problem.metric]} {value:.2f}"
    return label, [*((each * 255).round().astype(np.uint8) for each in seen), query.image, answer]


def _sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Image.Image:
    """Lay labelled rows out below each other, with heads above and a key below."""
    width = len(COLUMNS) * (SIDE + GAP) + GAP
    height = len(rows) * (SIDE + STRIP) + 2 * STRIP + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for column, title in enumerate(COLUMNS):
        draw.text((GAP + column * (SIDE + GAP), STRIP // 2), title, INK, font, anchor="lm")
    for number, (label, panels) in enumerate(rows):
        top = STRIP + number * (SIDE + STRIP)
        draw.text((GAP, top + STRIP // 2), label, INK, font, anchor="lm")
        for column, panel in enumerate(panels):
            fitted = _fitted(panel)
            left = GAP + column * (SIDE + GAP) + (SIDE - fitted.width) // 2
            sheet.paste(fitted, (left, top + STRIP + (SIDE - fitted.height) // 2))
    left, middle = GAP, height - STRIP // 2 - GAP // 2
    for meaning, colour in MEANINGS.items():
        draw.rectangle((left, middle - 6, left + 12, middle + 6), fill=colour)
        draw.text((left + 18, middle), meaning, INK, font, anchor="lm")
        left += 36 + round(font.getlength(meaning))
    return sheet


def _fitted(panel: np.ndarray) -> Image.Image:
    factor = SIDE / max(panel.shape[:2])
    size = round(panel.shape[1] * factor), round(panel.shape[0] * factor)
    filter_ = cv2.INTER_NEAREST if factor > 1 else cv2.INTER_AREA
    return Image.fromarray(cv2.resize(panel, size, interpolation=filter_))
