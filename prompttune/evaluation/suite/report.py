"""What a run of the suite leaves behind: its trials as they come, and their summary."""

import csv
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from prompttune.evaluation.metrics import defined_mean
from prompttune.evaluation.plot import draw_lines
from prompttune.evaluation.suite.trials import Setting, Trial
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.io import write_whole
from prompttune.utils.pages import table
from prompttune.utils.recording import Record, one_run
from prompttune.utils.resuming import refuse_begun

CSV, PNG = "curve.csv", "curve.png"
ROW = "one-shot"

TRIALS, JSON, TEXT = "trials.jsonl", "scores.json", "scores.md"
BASELINES = ("all-foreground", "nearest-color")
LABELS = {"dice": "Dice", "iou": "J"}
Summary = dict[str, Any]


@contextmanager
def open_record(folder: Path, resume: bool) -> Iterator[Record]:
    """Open the record of a run's trials; as long as it is open, no other run is let in.

    Args:
        folder: of the run; made if need be.
        resume: keep what an earlier run has scored; else it is forgotten.

    Raises:
        InputError: `folder` is a file, or holds something else, or what `resume` would finish, or
            another run is at work there.
    """
    path = folder / TRIALS
    with one_run(folder):
        stopped = path.exists() and path.stat().st_size > 0 and not (folder / JSON).exists()
        refuse_begun(folder, stopped, resume, anew="another --output")
        with closing(Record(path, forget=not resume)) as record:
            yield record


def describe_backbone(
    setting: Setting, trials: Sequence[Trial], results: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return what `scores.json` says of a backbone, from its trials and their results by key."""
    sets: dict[str, Summary] = {}
    for name in dict.fromkeys(trial.set for trial in trials):
        few = [trial for trial in trials if trial.set == name]
        scored = ((each.row, each.problem, each.choice, results[each.key()]) for each in few)
        sets[name] = {
            "metric": few[0].metric,
            "scale": few[0].scale,
            "images": sum({each.problem: each.images for each in few}.values()),
            "rows": summarize(few[0].metric, scored),
        }
    return {
        "name": setting.name,
        "fingerprint": setting.fingerprint,
        "sets": sets,
        "verdicts": verdicts(sets),
    }


def summarize(
    metric: str, results: Iterable[tuple[str, str, int, dict[str, Any]]]
) -> dict[str, Summary]:
    """Return the rows of a set.

    Args:
        metric: `dice` or `iou`.
        results: (row, problem, choice, result of the trial) each.

    Returns:
        Row -> `mean` over the choices of the mean over problems of the mean over images; `sd`, the
        sample standard deviation over choices (None for one); `choices`, those values; `problems`,
        each one's mean; `examples` seen by a prediction; `seconds` an image.
    """
    rows: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for row, problem, choice, result in results:
        rows.setdefault(row, {})[problem, choice] = result
    return {row: _summarize_row(metric, trials) for row, trials in rows.items()}


def _summarize_row(metric: str, trials: dict[tuple[str, int], dict[str, Any]]) -> Summary:
    values = {
        place: defined_mean(value for value in result[metric] if value is not None)
        for place, result in trials.items()
    }
    problems, choices = (sorted({place[axis] for place in values}) for axis in (0, 1))

    def mean_where(axis: int, wanted: object) -> float:
        return defined_mean(value for place, value in values.items() if place[axis] == wanted)

    by_choice = [mean_where(1, choice) for choice in choices]
    return {
        "mean": _number(defined_mean(by_choice)),
        "sd": _number(statistics.stdev(by_choice)) if len(by_choice) > 1 else None,
        "choices": [_number(value) for value in by_choice],
        "problems": {problem: _number(mean_where(0, problem)) for problem in problems},
        "examples": next(iter(trials.values()))["examples"],
        "seconds": round(statistics.fmean(each["seconds"] for each in trials.values()), 3),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def verdicts(sets: dict[str, Summary]) -> list[str]:
    """Say in how many sets one example beats both baselines, and eight beat one."""
    rows = [
        {row: one["mean"] for row, one in each["rows"].items() if one["mean"] is not None}
        for each in sets.values()
    ]
    beside = [each for each in rows if {"one-shot", *BASELINES} <= each.keys()]
    both = [each for each in rows if {"one-shot", "feature"} <= each.keys()]
    said = []
    if beside:
        gains = [
            round(each["one-shot"] / max(*(each[name] for name in BASELINES), 1e-9), 4)
            for each in beside
        ]
        above, far = sum(gain > 1 for gain in gains), sum(gain >= 1.5 for gain in gains)
        said.append(
            f"One example is above both all foreground and nearest color in {above} of "
            f"{len(beside)} sets, and at 1.5 times the better of them or more in {far}."
        )
    if both:
        above = sum(each["feature"] > each["one-shot"] for each in both)
        said.append(f"The feature ensemble is above one example in {above} of {len(both)} sets.")
    return said


def format_value(row: Summary | None) -> str:
    """Return a row's value as `.123 ± .045`, or a dash."""
    if row is None or row["mean"] is None:
        return "-"
    text = _short(row["mean"])
    return text if row["sd"] is None else f"{text} ± {_short(row['sd'])}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def set_table(sets: dict[str, Summary], rows: Sequence[str]) -> list[list[str]]:
    """Return the cells of a backbone's table, the head first; one line a set, Dice unless said."""
    lines = [["set", "scale", *rows]]
    for name, one in sets.items():
        scale = "whole" if one["scale"] is None else f"{one['scale']:g}"
        values = (format_value(one["rows"].get(row)) for row in rows)
        label = name if one["metric"] == "dice" else f"{name} ({LABELS[one['metric']]})"
        lines.append([label, scale, *values])
    return lines


def render_text(content: dict[str, Any]) -> str:
    """Return `scores.md` for the content of `scores.json`."""
    parts = ["# Scores on the suite"]
    for one in content["backbones"]:
        parts.append(f"## {one['name']}\n\nFingerprint `{one['fingerprint']}`.")
        head, *lines = set_table(one["sets"], content["rows"])
        parts.append(table(head, lines))
        parts.append("\n".join(one["verdicts"]))
    parts += [content["scoring"], f"```sh\n{content['command']}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_scores(folder: Path, content: dict[str, Any]) -> None:
    """Write `scores.json` and `scores.md`."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / JSON, text + "\n")
    write_whole(folder / TEXT, render_text(content))


def write_curve(folder: Path, content: dict[str, Any]) -> None:
    """Write `curve.csv`, one line a backbone, set and row, and `curve.png`, one-shot scores.

    Args:
        folder: of the run.
        content: of `scores.json`, with `samples` in each backbone.
    """
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("samples", "backbone", "set", "row", "mean", "sd"))
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in sorted(content["backbones"], key=lambda one: one["samples"]):
        for name, scored in one["sets"].items():
            for row, value in scored["rows"].items():
                table.writerow((one["samples"], one["name"], name, row, value["mean"], value["sd"]))
                if row == ROW and value["mean"] is not None:
                    lines.setdefault(name, []).append((one["samples"], value["mean"]))
    write_whole(folder / CSV, text.getvalue())
    write_png(folder / PNG, draw_lines(lines, f"samples seen ({ROW})"))
