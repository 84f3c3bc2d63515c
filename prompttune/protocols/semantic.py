"""Images of fixed classes: answered by examples of each class, or by a tuned key."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.answering import Answering, Example, Question
from prompttune.protocols.layout import shortened
from prompttune.protocols.metrics import areas_of, mean_of, semantic_scores
from prompttune.protocols.protocol import Benchmark, Options, Outcomes, Panels
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError

MIN_SHOWN = 1e-3
"""Share of an image that an example of one of many classes must show."""


@dataclass(frozen=True)
class SemanticSet:
    """Images of which each pixel is one of some classes."""

    classes: tuple[str, ...]
    """Class map value i is `classes[i - 1]`."""
    train: Sequence[str]
    """Images of which examples are drawn."""
    test: Sequence[str]
    """Images that are scored."""
    load: Callable[[str], tuple[np.ndarray, np.ndarray]]
    """Reads an image, `H x W x 3 uint8`, and its class map, `H x W uint8`; 255 does not count."""
    background: bool
    """Whether value 0 is a class of its own, the background; else 0 does not occur."""


class Semantic(Benchmark):
    """Answers images, and scores them as mmsegmentation does.

    One class before a background is answered by `Segmenter.predict`, at the scale that fits the
    examples. Of many classes each is answered for itself, by whole images as in SegGPT's paper, and
    the class with the best score wins.

    Args:
        segmenter: with any backbone.
        given: the set.
        options: shots, seed, and keys.

    Raises:
        InputError: a key of other classes, or classes that no example shows.
    """

    unit = "images"

    def __init__(self, segmenter: Segmenter, given: SemanticSet, options: Options) -> None:
        super().__init__(segmenter)
        self.given, self.options = given, options
        self.main = "Dice" if given.background else "mIoU"
        self.key = _checked_key(options, given.classes)
        self.answering = Answering(segmenter, options.ensemble)
        self._examples: dict[int, list[str]] | None = None
        self._prompt: Prompt | None = None

    @property
    def cases(self) -> Sequence[str]:
        """The names of the images."""
        return list(self.given.test)

    def run(self, cases: Sequence[str], output: Path) -> Iterator[dict[str, Any]]:
        """Answer images one by one."""
        count = len(self.given.classes) + 1
        for name in cases:
            image, truth = self.given.load(name)
            areas = areas_of(self.answer(name, image), truth, count, IGNORE)
            values = semantic_scores(areas)["IoU"][1:]
            value = mean_of(values)
            yield {"areas": areas.tolist(), "value": None if np.isnan(value) else value}

    def answer(self, name: str, image: np.ndarray) -> np.ndarray:
        """Return the class map of an image, `H x W uint8`, 0 background where the set has one."""
        if self.key is not None:
            result = self.segmenter.predict(image, self.key)
            own = [self.given.classes.index(each) + 1 for each in self.key.palette.classes]
            best = result.classes if self.given.background else result.scores.argmax(0) + 1
            return np.array([0, *own], np.uint8)[best]
        if self.given.background and len(self.given.classes) == 1:
            return self.segmenter.predict(image, self._one_prompt()).classes
        return self._best_class(name, image)

    def _one_prompt(self) -> Prompt:
        if self._prompt is None:
            pairs = [self.given.load(name) for name in self.examples[1]]
            make = Prompt.spatial if self.options.ensemble == "spatial" else Prompt.from_examples
            self._prompt = make(pairs, classes=self.given.classes)
        return self._prompt

    @property
    def examples(self) -> dict[int, list[str]]:
        """Of each class the images that are its examples, drawn once."""
        if self._examples is None:
            self._examples = draw_examples(self.given, self.options.shots, self.options.seed)
        return self._examples

    def _best_class(self, name: str, image: np.ndarray) -> np.ndarray:
        """Ask for each class alone; the best score wins, or the background where none is sure."""
        best = np.full(image.shape[:2], 0.5 if self.given.background else -1.0, np.float32)
        found = np.zeros(image.shape[:2], np.uint8)
        labels, size = sorted(self.examples), 8
        for start in range(0, len(labels), size):
            few = labels[start : start + size]
            questions = [self._question(name, image, label) for label in few]
            for label, scores in zip(few, self.answering.scores(questions), strict=True):
                better = scores > best
                best[better], found[better] = scores[better], label
        return found

    def _question(self, name: str, image: np.ndarray, label: int) -> Question:
        def read(each: str) -> Example:
            shown, truth = self.given.load(each)
            return Example(each, shown, truth == label)

        return Question(name, image, label, tuple(self.examples[label]), read)

    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return mIoU over all classes (with the background, if it is one), Dice, and accuracy."""
        areas = np.sum([one["areas"] for one in outcomes.values()], axis=0)
        scores = semantic_scores(areas)
        start = 0 if self.given.background else 1
        found = {
            "mIoU": mean_of(scores["IoU"][start:]),
            "mAcc": mean_of(scores["Acc"][start:]),
            "aAcc": float(scores["aAcc"]),
        }
        if self.given.background:
            foreground = {"Dice": mean_of(scores["Dice"][1:]), "IoU": mean_of(scores["IoU"][1:])}
            found = foreground | found
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def panels(self, case: str, output: Path) -> Panels:
        """Return the image with its truth and the answer, made anew."""
        image, truth = self.given.load(case)
        return Panels(image, truth, self.answer(case, image), Palette.of(self.given.classes))


def draw_examples(given: SemanticSet, shots: int, seed: int) -> dict[int, list[str]]:
    """Draw examples of each class among the training images.

    Images are looked at in a random order, each once, until every class has its examples. A class
    that no image shows well enough has none, and is never answered.

    Raises:
        InputError: no class has an example.
    """
    order = np.random.default_rng(seed).permutation(len(given.train))
    labels = range(1, len(given.classes) + 1)
    found: dict[int, list[str]] = {label: [] for label in labels}
    least = MIN_SHOWN if len(given.classes) > 1 else 0
    for place in order:
        name = given.train[int(place)]
        _, truth = given.load(name)
        shown = np.bincount(truth.ravel(), minlength=256) / truth.size
        for label in labels:
            if shown[label] > least and len(found[label]) < shots:
                found[label].append(name)
        if all(len(names) == shots for names in found.values()):
            break
    found = {label: names for label, names in found.items() if names}
    if not found:
        raise InputError("no training image shows a class; is the set whole?")
    return found


def _checked_key(options: Options, classes: Sequence[str]) -> Prompt | Composition | None:
    if not options.prompts:
        return None
    if len(options.prompts) > 1:
        raise InputError("--prompt: one key (of any number of classes) answers this set")
    key, asked = options.prompts[0], f"the set asks for {shortened(', '.join(classes))}"
    for part in key.parts:
        if part.instance_of is not None:
            told = f"{part.name} tells instances of {part.instance_of} apart"
            raise InputError(f"--prompt: {told}; {asked}")
    strange = [name for name in key.palette.classes if name not in classes]
    if strange:
        some = ", ".join(strange[:3])
        raise InputError(
            f"--prompt: answers classes that the set does not have, such as {some}; {asked}"
        )
    return key
