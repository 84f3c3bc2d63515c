"""After tuning: what a prompt's scores are worth, and what its training images were like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import choose_threshold, counted_pixels, pixel_dice
from prompttune.inference.quality import BEST
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, changed
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import (
    Calibration,
    CurveFit,
    Zoomed,
    fit_line,
    foreground_scores,
)
from prompttune.reliability.domain import Domain, fit_domain
from prompttune.tasks.data import TaskData

CROPS, WINDOWS = 16, 3
"""Validation crops, at most, and their side in windows: answered as whole images are."""
ZOOMED_CROPS, ZOOMED_WINDOWS = 6, 2
"""Validation crops that are answered at all zooms, few and small: each takes six times as long."""
TRAIN_CROPS, TRAIN_WINDOWS = 32, 2
"""Training crops, whose windows are described."""
MIN_SHARE = 1e-3
"""Of a crop's pixels: where less is shown and found, its Dice says little."""


@dataclass(frozen=True)
class Piece:
    """A part of an image, its truth, and which pixels count."""

    image: np.ndarray
    class_map: np.ndarray
    counted: np.ndarray


def calibrated(
    prompt: Prompt | Composition,
    segmenter: Segmenter,
    data: TaskData,
    overlap: float,
    seed: int = 0,
) -> Prompt | Composition:
    """Return a tuned prompt that knows what its scores are worth and what its images were like.

    Some 150 windows of validation images are answered and 100 of training images described, which
    takes seconds. No test image is looked at.

    Args:
        prompt: with its threshold chosen.
        segmenter: with its backbone.
        data: the images it was tuned on; validation images that are training images as well are
            used all the same, and the card says so.
        overlap: of neighboring windows.
        seed: of the crops.
    """
    rng = np.random.default_rng(seed)
    side = _side(prompt.parts[0], segmenter)
    crops = list(_crops(data.val, CROPS, _length(side, WINDOWS, overlap), rng))
    train = list(_crops(data.train, TRAIN_CROPS, _length(side, TRAIN_WINDOWS, 0.0), rng))
    held_out = data.holds_out
    answers = _answers(prompt, segmenter, crops, overlap)
    calibration = _calibration(prompt, crops, answers, held_out)
    length = _length(side, ZOOMED_WINDOWS, overlap)
    zoomed = _zoomed(prompt, segmenter, list(_crops(data.val, ZOOMED_CROPS, length, rng)), held_out)
    domain = _domain(prompt.parts[0], segmenter, train, crops)
    return changed(prompt, calibration=calibration, zoomed=zoomed, domain=domain)


def validation_pieces(
    prompt: Prompt, segmenter: Segmenter, data: TaskData, overlap: float, seed: int
) -> Iterator[Piece]:
    """Cut pieces of validation images, three windows wide, that are answered as images are.

    Args:
        prompt: whose windows they are.
        segmenter: with its backbone.
        data: its images.
        overlap: of neighboring windows.
        seed: of the pieces.
    """
    length = _length(_side(prompt, segmenter), WINDOWS, overlap)
    return _crops(data.val, CROPS, length, np.random.default_rng(seed))


def _side(prompt: Prompt, segmenter: Segmenter) -> int | None:
    """Return the side of a window in pixels of the image; None: windows are whole images."""
    scale = prompt.known_scale
    return None if scale is None else max(1, round(segmenter.canvas(prompt) / scale))


def _length(side: int | None, windows: int, overlap: float) -> int | None:
    return None if side is None else round(side * (1 + (windows - 1) * (1 - overlap)))


def _crops(
    samples: Sequence[LoadedSample], most: int, length: int | None, rng: np.random.Generator
) -> Iterator[Piece]:
    """Cut `most` crops, evenly from as many images as there are; of small images one each."""
    order = rng.permutation(len(samples))[:most]
    each = -(-most // max(1, len(order)))
    for index in order:
        sample = samples[index]
        counted = counted_pixels(sample.class_map, sample.field_of_view)
        size = sample.class_map.shape
        taken = [min(size[0], length or size[0]), min(size[1], length or size[1])]
        pieces = -(-size[0] * size[1] // (taken[0] * taken[1]))
        for _ in range(min(each, pieces)):
            top, left = (
                int(rng.integers(whole - part + 1)) for whole, part in zip(size, taken, strict=True)
            )
            window = np.s_[top : top + taken[0], left : left + taken[1]]
            yield Piece(sample.image[window], sample.class_map[window], counted[window])


_Answers = list[tuple[np.ndarray, np.ndarray]]
"""Of each crop the scores and what was decided."""


def _answers(
    prompt: Prompt | Composition,
    segmenter: Segmenter,
    crops: Sequence[Piece],
    overlap: float,
    zooms: Sequence[float] = (1.0,),
) -> _Answers:
    images = (crop.image for crop in crops)
    results = segmenter.stream(images, prompt, overlap, zooms=zooms)
    return [(result.scores, result.classes) for result in results]


def _zoomed(
    prompt: Prompt | Composition, segmenter: Segmenter, crops: Sequence[Piece], held_out: bool
) -> Zoomed | None:
    """Choose the threshold of answers over zooms, and learn what those are worth.

    None for what is never asked so: groups, whose time is that of one prompt times their number,
    what sees images whole, and keys with a companion, whose answers are not means over zooms.
    """
    if isinstance(prompt, Composition) or prompt.known_scale is None or not crops:
        return None
    if prompt.companion is not None:
        return None
    answers = _answers(prompt, segmenter, crops, BEST.overlap, BEST.zooms)
    shown = [
        (scores, crop.class_map, crop.counted)
        for crop, (scores, _) in zip(crops, answers, strict=True)
    ]
    threshold, _ = choose_threshold(shown)
    decided = [
        (scores, prompt.palette.decide(torch.from_numpy(scores), threshold).numpy())
        for scores, _ in answers
    ]
    return Zoomed(threshold, _calibration(prompt, crops, decided, held_out))


def _calibration(
    prompt: Prompt | Composition, crops: Sequence[Piece], answers: _Answers, held_out: bool
) -> Calibration:
    groups = [len(part.palette.classes) for part in prompt.parts]
    foreground, classes = CurveFit(), CurveFit()
    for crop, (scores, _) in zip(crops, answers, strict=True):
        truth = crop.class_map[crop.counted]
        foreground.add(foreground_scores(scores, groups)[crop.counted], truth > 0)
        for index, plane in enumerate(scores, 1):
            classes.add(plane[crop.counted], truth == index)
    flat = Calibration(foreground.fitted(), classes.fitted(), (0.0, 1.0), max(1, len(crops)))
    points = []
    for crop, (scores, decided) in zip(crops, answers, strict=True):
        certainty = flat.certainty(scores, np.where(crop.counted, decided, 0))
        shown = (crop.counted & ((crop.class_map > 0) | (decided > 0))).mean()
        if certainty is not None and shown >= MIN_SHARE:
            dice = pixel_dice(decided[crop.counted], crop.class_map[crop.counted])
            points.append((certainty, dice, shown))
    line = fit_line(*zip(*points, strict=True)) if points else (0.0, 1.0)
    return Calibration(flat.foreground, flat.classes, line, flat.crops, held_out)


def _domain(
    prompt: Prompt, segmenter: Segmenter, train: Sequence[Piece], held_out: Sequence[Piece]
) -> Domain:
    features = [segmenter.describe(crop.image, prompt) for crop in train]
    others = [segmenter.describe(crop.image, prompt) for crop in held_out]
    return fit_domain(np.concatenate(features), others)
