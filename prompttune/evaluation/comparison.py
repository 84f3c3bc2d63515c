"""Several ways to segment the same test images, scored alike.

Every row is made of candidates: something that turns an image into scores. All candidates are
scored by the same rule: the decision threshold is the one with the best mean Dice on the validation
images, then the test images are decided with it. Test images are used for no choice.
"""

import math
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.metrics import (
    UNDEFINED,
    Metrics,
    Reliability,
    choose_threshold,
    counted_pixels,
    mean_metrics,
    measure,
    or_zero,
)
from prompttune.evaluation.shared_threshold import at_threshold, choose_shared_threshold
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


class Predictor(Protocol):
    """What a comparison needs of a `Segmenter`."""

    def predict(
        self,
        images: np.ndarray,
        prompt: Any,
        overlap: float,
        *,
        flips: bool,
        zooms: Sequence[float],
    ) -> Any:
        """Segment one `H x W x 3 uint8` image; the result has `scores`, `C x H x W float32`."""


@dataclass(frozen=True)
class Candidate:
    """One way to segment an image."""

    name: str
    """Unique in a comparison; candidates of equal name are scored once."""
    prompts: int
    """How many example or learned images it is prompted with."""
    scores: Callable[[str, np.ndarray], np.ndarray | None]
    """From a sample's name and its `H x W x 3 uint8` image to `C x H x W float32` in [0, 1].

    None where there is no answer for an image: it is left out of the candidate's means."""
    threshold: float | None = None
    """Fixed; None: chosen on the validation images."""
    composition: Composition | None = None
    """Decides the scores; None: the key's palette does."""
    prompt: Prompt | Composition | None = None
    """That answers; None: something else does."""


@dataclass(frozen=True)
class Validated:
    """What the validation images say of a candidate."""

    threshold: float
    dice: float


@dataclass(frozen=True)
class Trial:
    """A candidate's scores on the test images."""

    candidate: Candidate
    validated: Validated
    images: tuple[Metrics, ...]
    """One a test image, in their order."""
    seconds: tuple[float, ...]
    """What each prediction took."""
    reliability: Reliability = field(repr=False)
    """How far the candidate knew how right it was."""
    packed: tuple[bytes, ...] = field(repr=False)
    """The class maps, compressed: a comparison of thousands of images stays in memory."""

    @cached_property
    def mean(self) -> Metrics:
        """The mean over the test images."""
        return mean_metrics(self.images)

    def class_map(self, index: int, shape: tuple[int, int]) -> np.ndarray:
        """Return the `H x W uint8` class map of a test image whose size is `shape`."""
        return np.frombuffer(zlib.decompress(self.packed[index]), np.uint8).reshape(shape)


@dataclass
class Bench:
    """What all rows share: the images, the key, and how they are predicted and scored."""

    segmenter: Predictor
    key: Prompt | Composition
    """The tuned prompt; its classes and its scale hold for every row."""
    canvas: int
    """The backbone's canvas: side of the window that is cut from an example."""
    train: Sequence[LoadedSample]
    validation: Sequence[LoadedSample]
    test: Sequence[LoadedSample]
    examples: int = 5
    """How many one-shot examples are drawn."""
    ensemble: int = 8
    """How many examples the feature ensemble sees at once."""
    overlap: float = 0.25
    seed: int = 0
    """Chooses the examples."""
    on_image: Callable[[], None] = lambda: None
    """Called after each predicted image."""
    _candidates: dict[Callable, Sequence[Candidate]] = field(default_factory=dict, repr=False)
    _validated: dict[str, Validated] = field(default_factory=dict, repr=False)
    _tested: dict[str, Trial] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the foreground classes."""
        return self.key.palette.classes

    @property
    def scale(self) -> float | None:
        """Of the key, and so of all rows."""
        return self.key.parts[0].known_scale

    @cached_property
    def drawn(self) -> tuple[LoadedSample, ...]:
        """Training samples that show a class, in random order, as many as any row needs.

        Raises:
            InputError: no training sample shows a class.
        """
        drawn = draw_showing(self.train, self.seed, max(self.examples, self.ensemble))
        if not drawn:
            raise InputError(
                "no training image to take an example from: their masks show no class; "
                "check the masks or the task's mask values"
            )
        return tuple(drawn)

    def from_examples(self, samples: Sequence[LoadedSample]) -> Prompt:
        """Return a prompt of examples at the scale of the key."""
        pairs = [(sample.image, example_map(sample)) for sample in samples]
        return Prompt.from_examples(
            pairs, classes=self.classes, scale=self.scale, canvas=self.canvas
        )

    def candidates(self, row: "Row") -> Sequence[Candidate]:
        """Return a row's candidates, made once: rows with the same source share them."""
        if row.candidates not in self._candidates:
            self._candidates[row.candidates] = row.candidates(self)
        return self._candidates[row.candidates]

    def prompted(
        self,
        name: str,
        prompt: Prompt | Composition,
        flips: bool = False,
        overlap: float | None = None,
        zooms: Sequence[float] = (1.0,),
    ) -> Candidate:
        """Return the candidate that segments with a prompt, as `Segmenter.predict` does.

        `overlap` is the bench's where none is given.
        """
        overlap = self.overlap if overlap is None else overlap

        def scores(_: str, image: np.ndarray) -> np.ndarray:
            return self.segmenter.predict(
                image, prompt, overlap=overlap, flips=flips, zooms=zooms
            ).scores

        images = sum(len(part.images) for part in prompt.parts)
        decides = prompt if isinstance(prompt, Composition) else None
        trusted = prompt.averaged() if len(zooms) > 1 else prompt
        return Candidate(name, images, scores, composition=decides, prompt=trusted)

    def validate(self, candidate: Candidate) -> Validated:
        """Choose a candidate's threshold on the validation images."""
        if candidate.threshold is not None:
            return Validated(candidate.threshold, math.nan)
        if candidate.name not in self._validated:
            answers = (
                (scores, sample.class_map, _counted(sample))
                for sample in self.validation
                if (scores := self._predict(candidate, sample)[0]) is not None
            )
            chosen = (
                choose_threshold(answers)
                if candidate.composition is None
                else choose_shared_threshold(candidate.composition, answers)
            )
            self._validated[candidate.name] = Validated(*chosen)
        return self._validated[candidate.name]

    def try_out(self, candidate: Candidate) -> Trial:
        """Score a candidate on the test images, at the threshold of its validation."""
        if candidate.name not in self._tested:
            validated = self.validate(candidate)
            images, seconds, packed = [], [], []
            reliability = Reliability(candidate.prompt)
            for sample in self.test:
                scores, took = self._predict(candidate, sample)
                seconds.append(took)
                if scores is None:
                    class_map = np.zeros_like(sample.class_map)
                    images.append(UNDEFINED)
                else:
                    class_map = self.decide(scores, validated.threshold, candidate.composition)
                    images.append(measure(scores, class_map, sample.class_map, _counted(sample)))
                    reliability.add(scores, class_map, sample, images[-1].dice)
                packed.append(zlib.compress(class_map.tobytes(), 1))
            self._tested[candidate.name] = Trial(
                candidate, validated, tuple(images), tuple(seconds), reliability, tuple(packed)
            )
        return self._tested[candidate.name]

    def decide(
        self, scores: np.ndarray, threshold: float, composition: Composition | None = None
    ) -> np.ndarray:
        """Return the `H x W uint8` class map of `C x H x W` scores."""
        if composition is not None:
            return at_threshold(composition, threshold).decide(torch.tensor(scores)).numpy()
        return self.key.palette.decide(torch.tensor(scores), threshold).numpy()

    def _predict(
        self, candidate: Candidate, sample: LoadedSample
    ) -> tuple[np.ndarray | None, float]:
        started = time.perf_counter()
        scores = candidate.scores(sample.name, sample.image)
        took = time.perf_counter() - started
        self.on_image()
        return scores, took


def best_by_validation(bench: Bench, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Keep the candidate with the best Dice on the validation images; of equals the first."""
    return [max(candidates, key=lambda each: or_zero(bench.validate(each).dice))]


@dataclass(frozen=True)
class Row:
    """A row of the comparison: where its candidates come from, and which of them count.

    A row's value is the mean over its candidates. `choose` narrows them down before any test image
    is predicted.
    """

    candidates: Callable[[Bench], Sequence[Candidate]]
    choose: Callable[[Bench, Sequence[Candidate]], Sequence[Candidate]] | None = None


@dataclass(frozen=True)
class RowScores:
    """A row's trials, and their means."""

    mode: str
    trials: tuple[Trial, ...]

    @property
    def prompts(self) -> int:
        """How many example or learned images one prediction is prompted with."""
        return self.trials[0].candidate.prompts

    @cached_property
    def mean(self) -> Metrics:
        """The mean over the trials of their means over the test images."""
        return mean_metrics(trial.mean for trial in self.trials)

    @property
    def dice_sd(self) -> float:
        """Sample standard deviation of the trials' Dice; NaN for a single trial."""
        values = [trial.mean.dice for trial in self.trials]
        return statistics.stdev(values) if len(values) > 1 else math.nan

    @property
    def reliability(self) -> Reliability:
        """Of the first trial: a key has but one."""
        return self.trials[0].reliability

    @property
    def seconds_per_image(self) -> float:
        """Mean time of a prediction."""
        return statistics.fmean(seconds for trial in self.trials for seconds in trial.seconds)


def compare(bench: Bench, rows: dict[str, Row]) -> list[RowScores]:
    """Score rows (name -> row) one after the other; what they share is predicted once."""
    scored = []
    for mode, row in rows.items():
        candidates = bench.candidates(row)
        if row.choose:
            candidates = row.choose(bench, candidates)
        scored.append(RowScores(mode, tuple(bench.try_out(each) for each in candidates)))
    return scored


def count_predictions(bench: Bench, rows: dict[str, Row]) -> int:
    """Return how many images `compare` will predict, for a progress bar.

    A row that narrows its candidates down is taken to keep one.
    """
    validated: set[str] = set()
    tested: set[str] = set()
    for row in rows.values():
        names = {candidate.name for candidate in bench.candidates(row)}
        validated |= names
        tested |= set() if row.choose else names
    choosing = {row.candidates: bench.candidates(row) for row in rows.values() if row.choose}
    alone = sum(any(each.name not in tested for each in few) for few in choosing.values())
    return len(validated) * len(bench.validation) + (len(tested) + alone) * len(bench.test)


def draw_showing(samples: Sequence[LoadedSample], seed: int, most: int) -> list[LoadedSample]:
    """Draw samples that show a class, in random order, and read no more than that takes.

    Args:
        samples: to draw from.
        seed: of the order.
        most: how many to draw; fewer where fewer show a class.
    """
    drawn: list[LoadedSample] = []
    for index in np.random.default_rng(seed).permutation(len(samples)).tolist():
        if len(drawn) == most:
            break
        sample = samples[index]
        if example_map(sample).any():
            drawn.append(sample)
    return drawn


def example_map(sample: LoadedSample) -> np.ndarray:
    """Return a sample's class map as an example shows it: 0 where pixels do not count."""
    return np.where(_counted(sample), sample.class_map, 0).astype(np.uint8)


def _counted(sample: LoadedSample) -> np.ndarray:
    return counted_pixels(sample.class_map, sample.field_of_view)
