"""The rows that a comparison can have, by name.

A new row is a function from a `Bench` to candidates, in its own file, and one line in `ROWS`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from prompttune.evaluation.comparison import (
    Bench,
    Candidate,
    Row,
    best_by_validation,
    example_map,
)
from prompttune.evaluation.trivial import AllForeground, NearestColor
from prompttune.inference.quality import BEST
from prompttune.prompts.composition import Composition, changed, give_companion
from prompttune.prompts.prompt import Prompt


def one_shot(bench: Bench) -> list[Candidate]:
    """Each drawn training example as a prompt of its own."""
    return [
        bench.prompted(f"one-shot: {sample.name}", bench.from_examples([sample]))
        for sample in bench.drawn[: bench.examples]
    ]


def feature(bench: Bench) -> list[Candidate]:
    """The feature ensemble of several training examples (SegGPT, arXiv 2304.03284, section 3.3)."""
    samples = bench.drawn[: bench.ensemble]
    return [bench.prompted(f"feature: {len(samples)} examples", bench.from_examples(samples))]


def spatial(bench: Bench) -> list[Candidate]:
    """The spatial ensemble of 2 x 2 training examples (same section; never released)."""
    samples = bench.drawn[:4]
    prompt = Prompt.spatial(
        [(sample.image, example_map(sample)) for sample in samples],
        classes=bench.classes, scale=bench.scale, canvas=bench.canvas,
    )  # fmt: skip
    return [bench.prompted(f"spatial: {len(samples)} examples", prompt)]


def tuned(bench: Bench) -> list[Candidate]:
    """The key."""
    return [bench.prompted(own_name(bench.key), bench.key)]


def own_name(key: Prompt | Composition) -> str:
    """Return what the candidate that answers with the key is called."""
    return f"tuned: {key.name}"


def tuned_flips(bench: Bench) -> list[Candidate]:
    """The key, the mean of four answers: upright and mirrored. Four times the work."""
    return [bench.prompted(f"tuned, flips: {bench.key.name}", bench.key, flips=True)]


def tuned_best(bench: Bench) -> list[Candidate]:
    """The key as `predict --quality best` asks it: at five zooms, or with closer windows."""
    name = f"tuned, best: {bench.key.name}"
    return [bench.prompted(name, bench.key, BEST.flips, BEST.overlap, BEST.zooms)]


def tuned_prompt(bench: Bench) -> list[Candidate]:
    """The key without its companion: the frozen network and the learned prompt alone."""
    # What the key knows of its scores it knows of those with the companion.
    alone = changed(bench.key, companion=None, calibration=None, zoomed=None)
    return [bench.prompted(f"tuned, prompt alone: {bench.key.name}", alone)]


def companion(bench: Bench) -> list[Candidate]:
    """The key's companion alone, a small U-Net; where there is none, the key."""
    known = bench.key.parts[0].companion
    if known is None:
        return tuned(bench)
    unsure = changed(bench.key, calibration=None, zoomed=None)
    alone = give_companion(unsure, replace(known, share=1.0))
    return [bench.prompted(f"companion alone: {bench.key.name}", alone)]


def all_tokens(bench: Bench) -> list[Candidate]:
    """A compact key with all its tokens."""
    whole = changed(bench.key, kept_tokens=None)
    return [bench.prompted(f"tuned, all tokens: {bench.key.name}", whole)]


def all_foreground(bench: Bench) -> list[Candidate]:
    """Everything is foreground: what a metric gives for nothing."""
    baseline = AllForeground([example_map(each) for each in bench.drawn], len(bench.classes))
    return [_unprompted("all-foreground", 0, baseline.scores)]


def nearest_color(bench: Bench) -> list[Candidate]:
    """The colors of each one-shot example, the whole of its image."""
    candidates = []
    for sample in bench.drawn[: bench.examples]:
        baseline = NearestColor(
            sample.image, sample.class_map, sample.field_of_view, len(bench.classes)
        )
        candidates.append(_unprompted(f"nearest-color: {sample.name}", 1, baseline.scores))
    return candidates


def _unprompted(name: str, prompts: int, scores: Callable[[np.ndarray], np.ndarray]) -> Candidate:
    return Candidate(name, prompts, lambda _, image: scores(image))


ROWS: dict[str, Row] = {
    "one-shot": Row(one_shot),
    "one-shot-best": Row(one_shot, choose=best_by_validation),
    "feature": Row(feature),
    "spatial": Row(spatial),
    "tuned": Row(tuned),
    "tuned-flips": Row(tuned_flips),
    "tuned-best": Row(tuned_best),
    "tuned-prompt": Row(tuned_prompt),
    "companion": Row(companion),
    "tuned-all-tokens": Row(all_tokens),
    "all-foreground": Row(all_foreground),
    "nearest-color": Row(nearest_color),
}
