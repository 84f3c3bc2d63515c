"""Trials of the suite: one example choice of one problem, scored in every row; in processes.

A trial is described by plain values, so that it is the same in another process or after a kill.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.comparison import Bench, Candidate, Row, example_map
from prompttune.evaluation.metrics import counted_pixels, dice, iou
from prompttune.evaluation.rows import ROWS
from prompttune.evaluation.suite.problems import Part, Problem, read_problems
from prompttune.evaluation.trivial import feature_matching
from prompttune.inference.segmenter import Result, Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError
from prompttune.utils.tiling import resize_nearest, scaled_size, windows


def copied(bench: Bench) -> list[Candidate]:
    """The mask of the example, wherever things have moved to since."""
    sample = bench.drawn[0]
    mask = torch.from_numpy(example_map(sample))

    def scores(_: str, image: np.ndarray) -> np.ndarray:
        return resize_nearest(mask, (image.shape[0], image.shape[1])).float().numpy()[None]

    return [Candidate(f"copied: {sample.name}", 1, scores)]


SUITE_ROWS: dict[str, Row] = {
    **{name: ROWS[name] for name in ("one-shot", "feature", "all-foreground", "nearest-color")},
    "copied": Row(copied),
    "matching": ROWS["one-shot"],  # of the backbone's image features alone, see `_segmenter`
}
_STILLS = tuple(row for row in SUITE_ROWS if row != "copied")
_VIDEO = tuple(row for row in SUITE_ROWS if row != "feature")
_COSTS = {"one-shot": 1.0, "feature": 6.0, "matching": 0.8}
"""Of a window; the other rows take about as long as a tenth of one."""


@dataclass(frozen=True)
class Setting:
    """What all trials of a run have in common."""

    data: str
    backbone: str
    """Name or path."""
    name: str
    fingerprint: str
    canvas: int
    part: Part
    overlap: float
    ensemble: int
    seed: int
    device: str
    precision: str


@dataclass(frozen=True)
class Trial:
    """One row of one problem with one choice of examples."""

    setting: Setting
    set: str
    problem: str
    metric: str
    scale: float | None
    images: int
    """How many are scored."""
    row: str
    choice: int
    cost: float
    """About how long it takes, in windows of one example."""

    def key(self) -> str:
        """Return what two trials must share to have equal results, as JSON."""
        values = asdict(self)
        for name in ("data", "backbone", "name"):  # where they lie does not matter
            del values["setting"][name]
        del values["cost"]
        return json.dumps(values, sort_keys=True)


def plan(setting: Setting, name: str, rows: Sequence[str], choices: int) -> list[Trial]:
    """Return a set's trials in the order in which they are run; reads the set.

    Baselines that see no example, and videos, whose example is given, have a single choice.
    """
    trials = []
    for problem in _problems(setting.data, name, setting.part):
        count = _windows(problem, setting)
        for row in (row for row in rows if row in (_VIDEO if problem.video else _STILLS)):
            trials += [
                Trial(
                    setting,
                    name,
                    problem.name,
                    problem.metric,
                    problem.scale,
                    len(problem.test),
                    row,
                    choice,
                    count * _COSTS.get(row, 0.1),
                )
                for choice in range(1 if problem.video or row == "all-foreground" else choices)
            ]
    return trials


def _windows(problem: Problem, setting: Setting) -> int:
    """Return how many windows the images of a problem have, counted as the first of each part."""
    count = 0
    for samples in (problem.validation, problem.test):
        height, width = samples[0].image.shape[:2]
        if problem.scale is None:
            count += len(samples)
        else:
            size = [max(setting.canvas, x) for x in scaled_size(height, width, problem.scale)]
            places = windows(size[0], size[1], setting.canvas, setting.overlap)
            count += len(places) * len(samples)
    return count


def run_trials(trials: Sequence[Trial], processes: int) -> Iterator[tuple[Trial, dict[str, Any]]]:
    """Run trials, in this process or in several with one thread each; give them as they end."""
    if processes == 1:
        yield from ((trial, run_trial(trial)) for trial in trials)
        return
    context = get_context("spawn")
    waiting = iter(trials)
    with ProcessPoolExecutor(processes, context, initializer=_one_thread) as pool:
        # No more at once than processes: what is queued would be run after an interruption too.
        running = {pool.submit(run_trial, trial): trial for trial in islice(waiting, processes)}
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                trial = running.pop(done)
                running |= {pool.submit(run_trial, each): each for each in islice(waiting, 1)}
                yield trial, _result(done)


def _result(done: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return done.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process was stopped, perhaps for want of memory; go on with --resume and fewer "
            "--processes"
        ) from error


def run_trial(trial: Trial) -> dict[str, Any]:
    """Score a trial.

    Returns:
        `threshold`, `validation` (the Dice that chose it), `examples` (how many one prediction
        sees), `dice` and `iou` (lists, one value an image, None where nothing counts), `seconds`
        (of an image, scoring included).
    """
    setting = trial.setting
    segmenter = _segmenter(
        setting.backbone, setting.device, setting.precision, trial.row == "matching"
    )
    if segmenter.network.fingerprint != setting.fingerprint:
        raise InputError(f"{setting.backbone}: the file has changed since the run began")
    started = time.perf_counter()
    bench = make_bench(_problem(trial), segmenter, trial.choice + setting.seed, setting)
    bench.segmenter = _Together(segmenter, [*bench.validation, *bench.test])
    (candidate,) = bench.candidates(SUITE_ROWS[trial.row])
    validated = bench.validate(candidate)
    values: list[tuple[float | None, float | None]] = []
    for sample in bench.test:
        scores = candidate.scores(sample.name, sample.image)
        counted = counted_pixels(sample.class_map, sample.field_of_view)
        if scores is None or not counted.any():
            values.append((None, None))
            continue
        found = (bench.decide(scores, validated.threshold) == 1) & counted
        truth = (sample.class_map == 1) & counted
        values.append((dice(found, truth), iou(found, truth)))
    seconds = (time.perf_counter() - started) / (len(bench.validation) + len(bench.test))
    return {
        "threshold": validated.threshold,
        "validation": None if math.isnan(validated.dice) else validated.dice,
        "examples": candidate.prompts,
        "dice": [each[0] for each in values],
        "iou": [each[1] for each in values],
        "seconds": round(seconds, 4),
    }


class _Together:
    """Predicts all images when the first is asked for: one prompt to prepare, full batches.

    Args:
        segmenter: it predicts.
        samples: those that will be asked for, always in the same way; their images stay the same
            objects.
    """

    def __init__(self, segmenter: Segmenter, samples: Sequence[LoadedSample]) -> None:
        self.segmenter = segmenter
        self.images = {id(sample.image): sample.image for sample in samples}
        self.answers: dict[int, Result] = {}

    def predict(
        self,
        images: np.ndarray,
        prompt: Prompt,
        overlap: float,
        *,
        flips: bool,
        zooms: Sequence[float],
    ) -> Result:
        """Return the answer for one `H x W x 3 uint8` image."""
        if not self.answers:
            results = self.segmenter.stream(
                self.images.values(), prompt, overlap, flips=flips, zooms=zooms
            )
            self.answers = dict(zip(self.images, results, strict=True))
        return self.answers[id(images)]


def make_bench(problem: Problem, segmenter: Segmenter, seed: int, setting: Setting) -> Bench:
    """Return a comparison of one example choice: the first drawn, and it with seven others."""
    nothing = torch.zeros(3, 1, 1)  # the suite has no key; palette and scale are all that counts
    key = Prompt((nothing,), (nothing,), Palette.of((problem.name,)), scale=problem.scale)
    return Bench(
        segmenter=segmenter,
        key=key,
        canvas=segmenter.network.config.canvas,
        train=problem.train,
        validation=problem.validation,
        test=problem.test,
        examples=1,
        ensemble=setting.ensemble,
        overlap=setting.overlap,
        seed=seed,
    )


@lru_cache(maxsize=4)
def _segmenter(backbone: str, device: str, precision: str, matching: bool) -> Segmenter:
    segmenter = Segmenter(backbone, device=device, precision=precision)
    if matching:
        return Segmenter(feature_matching(segmenter.network), precision=precision)
    return segmenter


@lru_cache(maxsize=1)
def _problems(root: str, name: str, part: Part) -> list[Problem]:
    return read_problems(Path(root), name, part)


def _problem(trial: Trial) -> Problem:
    problems = _problems(trial.setting.data, trial.set, trial.setting.part)
    return next(each for each in problems if each.name == trial.problem)


def _one_thread() -> None:
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
