"""Calibration after tuning: it is fitted on validation images alone, and holds on others."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import Reliability
from prompttune.inference.result import Result
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.workflows.calibrate import CROPS, calibrated

SIDE = 16


class Boastful:
    """Answers with a noisy score that claims too much: true with half its probability."""

    device = torch.device("cpu")

    def canvas(self, prompt: Prompt) -> int:
        return prompt.canvas or SIDE

    def predict(self, image: np.ndarray, prompt: Prompt, overlap: float, **_: Any) -> Result:
        scores = (image[None, :, :, 0] / np.float32(255)).astype(np.float32)
        classes = prompt.decide(torch.from_numpy(scores)).numpy()
        return Result(classes, scores, image, prompt)

    def stream(
        self,
        images: Iterable[np.ndarray],
        prompt: Prompt,
        overlap: float,
        zooms: tuple[float, ...] = (1.0,),
    ) -> Iterator[Result]:
        results = (self.predict(image, prompt, overlap) for image in images)
        if len(zooms) == 1:
            return results
        return (self.softened(result) for result in results)

    def softened(self, result: Result) -> Result:
        """Shy where it was loud: over zooms it claims a tenth of what it would claim at one."""
        return replace(result, scores=0.1 * result.scores)

    def describe(self, image: np.ndarray, prompt: Prompt, overlap: float = 0.0) -> np.ndarray:
        mean = image.reshape(-1, 3).mean(0) / 255
        return np.stack([mean + 0.01 * step for step in range(4)]).astype(np.float32)


def sample(seed: int, size: int = 64) -> LoadedSample:
    random = np.random.default_rng(seed)
    gray = random.integers(0, 256, (size, size))
    truth = random.random((size, size)) < gray / 510
    image = np.repeat(gray[..., None], 3, 2).astype(np.uint8)
    return LoadedSample(f"s{seed}", image, truth.astype(np.uint8))


def prompt(**fields: Any) -> Prompt:
    plane = torch.zeros(3, SIDE, SIDE)
    made = Prompt((plane,), (plane,), Palette.of(["thing"]), scale=1.0, canvas=SIDE)
    return replace(made, fingerprint="ab", **fields)


def data(train: range, val: range) -> TaskData:
    parts = ([sample(seed) for seed in part] for part in (train, val))
    return TaskData(*parts, [], "made up", "pairs", generated=True)


def test_answers_over_zooms_have_their_own_threshold_and_confidence() -> None:
    known = calibrated(prompt(), Boastful(), data(range(4), range(10, 14)), 0.25)  # type: ignore[arg-type]
    assert known.zoomed is not None
    assert known.zoomed.threshold < 0.1 < known.threshold
    averaged = known.averaged()
    assert (averaged.threshold, averaged.zoomed) == (known.zoomed.threshold, None)
    reliability = Reliability(averaged)
    for seed in range(100, 110):
        new = sample(seed)
        soft = Boastful().softened(Boastful().predict(new.image, known, 0.25))
        decided = averaged.decide(torch.from_numpy(soft.scores)).numpy()
        reliability.add(soft.scores, decided, new, 0.5)
    assert reliability.ece < 0.03 < 0.1 < reliability.ece_before


def test_what_a_boaster_learns_holds_on_new_images() -> None:
    known = calibrated(prompt(), Boastful(), data(range(4), range(10, 14)), 0.25)  # type: ignore[arg-type]
    assert known.calibration.held_out
    assert known.calibration.crops <= CROPS
    reliability = Reliability(known)
    for seed in range(100, 110):
        new = sample(seed)
        result = Boastful().predict(new.image, known, 0.25)
        found, true = result.classes > 0, new.class_map > 0
        dice = 2 * (found & true).sum() / (found.sum() + true.sum())
        assert result.expected_dice == pytest.approx(dice, abs=0.06)
        assert result.confidence is not None
        assert result.confidence.shape == new.class_map.shape
        reliability.add(result.scores, result.classes, new, float(dice))
    assert reliability.ece < 0.02 < 0.1 < reliability.ece_before


def test_training_images_that_validate_are_told_of() -> None:
    both = [sample(0), sample(1)]
    twice = TaskData(both, both, [], "made up", "pairs", generated=True)
    assert not calibrated(prompt(), Boastful(), twice, 0.25).calibration.held_out  # type: ignore[arg-type]


def test_images_of_another_kind_are_unlike() -> None:
    known = calibrated(prompt(), Boastful(), data(range(8), range(10, 14)), 0.25)  # type: ignore[arg-type]
    describe = Boastful().describe
    assert known.domain.unlikeness(describe(sample(200).image, known)) <= 1
    assert known.domain.unlikeness(describe(np.zeros((64, 64, 3), np.uint8), known)) > 1
    again = calibrated(prompt(), Boastful(), data(range(8), range(10, 14)), 0.25)  # type: ignore[arg-type]
    assert again.calibration == known.calibration
    assert np.array_equal(again.domain.centers, known.domain.centers)


def test_without_a_calibration_nothing_is_claimed() -> None:
    result = Boastful().predict(sample(0).image, prompt(), 0.25)
    assert (result.confidence, result.expected_dice, result.in_domain) == (None, None, None)
    assert np.isnan(Reliability(prompt()).ece)
