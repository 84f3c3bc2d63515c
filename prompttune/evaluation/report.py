"""What a comparison leaves behind: JSON, one picture a test image, and a page."""

import json
import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation import page
from prompttune.evaluation.comparison import RowScores, Trial
from prompttune.evaluation.metrics import Metrics, or_zero
from prompttune.evaluation.page import FALSE, HIT, MISSED, color_answer, save_picture
from prompttune.evaluation.plot import draw_lines
from prompttune.keys.card import ScoreRow, Scores
from prompttune.keys.card_fields import LONGEST_LINE
from prompttune.prompts.palette import Palette
from prompttune.utils import pages
from prompttune.utils.constants import IGNORE
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.pages import PAGE, PICTURES

JSON, LEARNING = "comparison.json", "learning.png"
SCORING = (
    "Every row is scored alike: the same scale, the same overlap (prompts see the same tiles, a "
    "U-Net its own), and the "
    "decision threshold with the best mean Dice on the validation images. Values are means over "
    "images, of counted pixels only; ± is the standard deviation over the examples."
)


@dataclass(frozen=True)
class Comparison:
    """A finished comparison, ready to be reported."""

    task: str
    backbone: str
    """Name of the backbone."""
    data: str
    """Name of the data folder (no path), or what was generated."""
    split: str
    palette: Palette
    rows: Sequence[RowScores]
    samples: Sequence[LoadedSample]
    """The images that were scored, in the order of the trials' metrics."""
    notices: tuple[str, ...] = ()
    """What a reader must know first, e.g. that the images are generated."""
    learning: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Of the rows that were trained: seconds, Dice on validation crops."""
    details: dict[str, object] = field(default_factory=dict)
    """Further fields of `comparison.json`."""


def describe(comparison: Comparison) -> dict:
    """Return what `comparison.json` holds; what is not defined is None (null).

    Each row has `mode`, `prompts`, `dice`, `dice_sd`, `iou`, `auc`, `cldice`, `seconds_per_image`,
    and `trials`: one a candidate, with its threshold, its Dice on the validation images and its
    values image by image.
    """
    names = [sample.name for sample in comparison.samples]
    return {
        "task": comparison.task,
        "backbone": comparison.backbone,
        "data": comparison.data,
        "split": comparison.split,
        "rows": [_describe_row(row, names) for row in comparison.rows],
        "learning": {
            name: [(round(seconds, 1), round(dice, 4)) for seconds, dice in line]
            for name, line in comparison.learning.items()
        },
        "scoring": SCORING,
        "notices": [*comparison.notices, *about_empty(comparison)],
        **comparison.details,
    }


def about_empty(comparison: Comparison) -> tuple[str, ...]:
    """Say what images that show nothing do to the means; nothing where all show something."""
    truths = [(each.class_map > 0) & (each.class_map != IGNORE) for each in comparison.samples]
    shown = [bool(truth.any()) for truth in truths]
    if all(shown) or not any(shown):
        return ()
    means = []
    for row in comparison.rows:
        values = [
            metrics.dice
            for trial in row.trials
            for metrics, there in zip(trial.images, shown, strict=True)
            if there and not math.isnan(metrics.dice)
        ]
        if values:
            means.append(f"{row.mode} {sum(values) / len(values):.3f}")
    return (
        f"{len(shown) - sum(shown)} of {len(shown)} images show no class; there, finding nothing "
        f"counts as Dice 1. Dice over the others alone: {', '.join(means)}.",
    )


def as_scores(comparison: Comparison) -> Scores:
    """Return what a key's card keeps of a comparison."""
    described = describe(comparison)
    scored = f"{comparison.split}, {len(comparison.samples)} images"
    rows = [{name: row[name] for name in ScoreRow.model_fields} for row in described["rows"]]
    return Scores(
        data=comparison.data,
        split=scored,
        command=_as_line(str(comparison.details["command"])),
        rows=tuple(ScoreRow(**row) for row in rows),
    )


def _as_line(text: str) -> str:
    """Return text as a card takes it: a line that is not too long, such as with 150 classes."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 4]} ..."


def headline(rows: Sequence[RowScores]) -> str:
    """Return a sentence that sets the tuned prompt beside one example; empty without both."""
    dice = {row.mode: row.mean.dice for row in rows}
    trials = {row.mode: len(row.trials) for row in rows}
    if not {"tuned", "one-shot"} <= dice.keys() or any(map(math.isnan, dice.values())):
        return ""
    gain = dice["tuned"] - dice["one-shot"]
    text = (
        f"The tuned key reaches a Dice of {dice['tuned']:.3f}, {abs(gain):.3f} "
        f"{'above' if gain >= 0 else 'below'} the mean of {trials['one-shot']} examples"
    )
    if "one-shot-best" in dice:
        gain = dice["tuned"] - dice["one-shot-best"]
        text += f" and {abs(gain):.3f} {'above' if gain >= 0 else 'below'} the best of them"
    return text + "."


def write_report(folder: Path, comparison: Comparison) -> None:
    """Write pictures, page and JSON into an empty folder (see `staged`)."""
    content = describe(comparison)
    pictures = _write_pictures(folder, comparison)
    key: dict[str, str] = {}
    if len(comparison.palette.classes) == 1:
        colors = {"hit": HIT, "missed": MISSED, "false": FALSE}
        key = {_css(color): meaning for meaning, color in colors.items()}
    else:
        palette = zip(comparison.palette.colors, comparison.palette.classes, strict=True)
        key = {_css(color): name for color, name in palette}
    lead = headline(comparison.rows)
    chart = _write_learning(folder, comparison)
    html = page.render_page(content, lead, content["notices"], key, pictures, chart)
    (folder / PAGE).write_text(html, encoding="utf-8")
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / JSON).write_text(text + "\n", encoding="utf-8")


def staged(output: Path) -> AbstractContextManager[Path]:
    """Stage a comparison, see `prompttune.utils.pages.staged`."""
    return pages.staged(output, "comparison", _is_comparison)


def _is_comparison(folder: Path) -> bool:
    try:
        earlier = json.loads((folder / JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(earlier, dict) and "rows" in earlier


def _describe_row(row: RowScores, names: Sequence[str]) -> dict:
    return {
        "mode": row.mode,
        "prompts": row.prompts,
        "dice": _number(row.mean.dice),
        "dice_sd": _number(row.dice_sd),
        "iou": _number(row.mean.iou),
        "auc": _number(row.mean.auc),
        "cldice": _number(row.mean.cldice),
        "seconds_per_image": _number(row.seconds_per_image),
        "ece_before": _number(row.reliability.ece_before),
        "ece": _number(row.reliability.ece),
        "expected_dice_r": _number(row.reliability.expected_dice_r),
        "trials": [_describe_trial(trial, names) for trial in row.trials],
    }


def _describe_trial(trial: Trial, names: Sequence[str]) -> dict:
    return {
        "name": trial.candidate.name,
        "threshold": _number(trial.validated.threshold),
        "validation_dice": _number(trial.validated.dice),
        **_describe_metrics(trial.mean),
        "images": {
            name: _describe_metrics(metrics)
            for name, metrics in zip(names, trial.images, strict=True)
        },
    }


def _describe_metrics(metrics: Metrics) -> dict:
    return {name: _number(value) for name, value in asdict(metrics).items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _shown(rows: Sequence[RowScores]) -> list[tuple[str, Trial]]:
    """Return what the pictures show: the one-shot trial that validation prefers, and the key's."""
    trials = {row.mode: row.trials for row in rows}
    shots = trials.get("one-shot") or trials.get("one-shot-best") or ()
    shown = []
    if shots:
        label = "one-shot, best example" if "one-shot-best" in trials else "one-shot"
        best = max(shots, key=lambda trial: or_zero(trial.validated.dice))
        shown.append((label, best))
    if "tuned" in trials:
        shown.append(("tuned", trials["tuned"][0]))
    return shown or [(rows[0].mode, rows[0].trials[0])]


def _write_pictures(folder: Path, comparison: Comparison) -> list[page.Picture]:
    (folder / PICTURES).mkdir()
    shown = _shown(comparison.rows)
    pictures = []
    for index, sample in enumerate(comparison.samples):
        truth, view = sample.class_map, sample.field_of_view
        panels = [(sample.name, sample.image)]
        panels.append(("truth", color_answer(truth, truth, view, comparison.palette)))
        caption = [sample.name]
        for label, trial in shown:
            title = f"{label}: Dice {page.format_score(trial.images[index].dice)}"
            answer = trial.class_map(index, truth.shape)
            panels.append((title, color_answer(answer, truth, view, comparison.palette)))
            caption.append(title)
        name = re.sub(r"[^\w.-]+", "_", sample.name)
        path = f"{PICTURES}/{index + 1:03d}_{name}.png"
        save_picture(folder / path, panels)
        pictures.append(page.Picture(path, "; ".join(caption)))
    return pictures


def _write_learning(folder: Path, comparison: Comparison) -> page.Picture | None:
    if not comparison.learning:
        return None
    write_png(folder / LEARNING, draw_lines(comparison.learning, "seconds of training"))
    return page.Picture(LEARNING, "Dice on the validation crops while the rows were trained")


def _css(color: tuple[int, int, int]) -> str:
    return "rgb({} {} {})".format(*color)
