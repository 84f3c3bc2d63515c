"""Few-shot episodes: a query, and examples of one class that prompt it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.answering import ONE_CLASS, Answering, Example, Question
from prompttune.protocols.metrics import (
    episode_counts,
    few_shot_scores,
    foreground_iou,
)
from prompttune.protocols.protocol import Benchmark, Options, Outcomes, Panels
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError, warn

T = TypeVar("T")
Ref = Any
"""What an adapter knows an image and its class by; hashable."""


class Draw:
    """A seeded generator that draws as `numpy.random.choice(items, 1, replace=False)[0]` does.

    HSNet's code seeds NumPy's global generator and takes one element at a time without replacement:
    so a seed gives the same episodes here.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)

    def one(self, items: Sequence[T]) -> T:
        """Return one element."""
        return items[int(self._random.choice(len(items), 1, replace=False)[0])]

    def others(self, items: Sequence[T], query: T, count: int, what: str) -> list[T]:
        """Draw so many elements that are not the query; one may be drawn twice, as in HSNet's code.

        Args:
            items: to draw from.
            query: is drawn again where it comes up.
            count: how many.
            what: names what is drawn, for messages.

        Raises:
            InputError: there is nothing but the query.
        """
        if not any(each != query for each in items):
            raise InputError(
                f"{what} has one image alone, no example beside a query; copy the set again"
            )
        taken: list[T] = []
        while len(taken) < count:
            each = self.one(items)
            if each != query:
                taken.append(each)
        return taken


@dataclass(frozen=True)
class Episode:
    """One query of a class, and its examples."""

    name: str
    label: int
    """Of the class, as the protocol counts classes."""
    query: Ref
    examples: tuple[Ref, ...]


@dataclass(frozen=True)
class Loaded:
    """An image with one class of it."""

    image: np.ndarray
    """`H x W x 3 uint8`."""
    mask: np.ndarray
    """`H x W bool`."""
    ignored: np.ndarray | None = None
    """`H x W bool`, pixels that do not count."""


@dataclass(frozen=True)
class EpisodeSet:
    """The episodes of a fold, and how their files are read."""

    episodes: Sequence[Episode]
    classes: Sequence[int]
    """Labels of the fold."""
    load: Callable[[Ref, int], Loaded]
    """Reads an image and the class of a label."""


class Episodes(Benchmark):
    """Answers episodes, and scores them as HSNet does.

    Args:
        segmenter: with any backbone; images are fitted whole to its canvas.
        given: the episodes.
        options: how several examples join.
    """

    unit = "episodes"

    def __init__(self, segmenter: Segmenter, given: EpisodeSet, options: Options) -> None:
        super().__init__(segmenter)
        # On a CPU a batch is no faster, and its prompts would be copied side by side.
        self.batch = 1 if segmenter.device.type == "cpu" else 8
        self.given = given
        self.by_name = {each.name: each for each in given.episodes}
        self.answering = Answering(segmenter, options.ensemble)

    @property
    def cases(self) -> Sequence[str]:
        """The names of the episodes, in the order in which they were drawn."""
        return list(self.by_name)

    def order(self, cases: Sequence[str]) -> Sequence[str]:
        """Take class after class: its episodes share images."""
        return sorted(cases, key=lambda name: self.by_name[name].label)

    def run(self, cases: Sequence[str], output: Path) -> Iterator[dict[str, Any]]:
        """Answer some episodes in one batch."""
        episodes = [self.by_name[name] for name in cases]
        loaded = [self.given.load(each.query, each.label) for each in episodes]
        for episode, query in zip(episodes, loaded, strict=True):
            if not query.mask.any():
                told = f"{episode.name}: its mask shows nothing of the class that its list says"
                warn(f"{told}; are lists and masks of one set?", once="an empty mask")
        pairs = zip(episodes, loaded, strict=True)
        found = self.answering.masks([self._question(*pair) for pair in pairs])
        for episode, query, mask in zip(episodes, loaded, found, strict=True):
            counts = episode_counts(mask, query.mask, query.ignored)
            yield {"label": episode.label, "counts": counts, "value": foreground_iou(counts)}

    def _question(self, episode: Episode, query: Loaded) -> Question:
        def read(ref: Ref) -> Example:
            loaded = self.given.load(ref, episode.label)
            return Example(ref, loaded.image, loaded.mask)

        return Question(episode.query, query.image, episode.label, episode.examples, read)

    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return mIoU and FB-IoU."""
        each = [(one["label"], one["counts"]) for one in outcomes.values()]
        labels = {label for label, _ in each}
        # A part of the episodes may not reach all classes; then only those reached are averaged.
        whole = len(each) == len(self.by_name)
        classes = self.given.classes if whole else [c for c in self.given.classes if c in labels]
        return few_shot_scores(each, classes)

    def panels(self, case: str, output: Path) -> Panels:
        """Return the query with its truth and the answer, made anew."""
        episode = self.by_name[case]
        query = self.given.load(episode.query, episode.label)
        (found,) = self.answering.masks([self._question(episode, query)])
        truth = query.mask.astype(np.uint8)
        if query.ignored is not None:
            truth[query.ignored] = IGNORE
        return Panels(query.image, truth, found.astype(np.uint8), ONE_CLASS)


def classes_in_turn(
    root: Path,
    images: Mapping[str, Sequence[str]],
    count: int,
    options: Options,
    load: Callable[[str, int], Loaded],
) -> EpisodeSet:
    """Take the classes in turn; draw a query and its examples among the images of each.

    Args:
        root: of the set, for messages.
        images: of each class, in the order of the protocol.
        count: of episodes.
        options: seed and shots.
        load: reads an image and the class of a label.

    Raises:
        InputError: a class of no image, or of one.
    """
    draw, drawn = Draw(options.seed), []
    names = list(images)
    empty = [name for name in names if not images[name]]
    if empty:
        raise InputError(f"{root}: has no images of {', '.join(empty)}; copy the set again")
    for number in range(count):
        label = number % len(names)
        own = images[names[label]]
        query = draw.one(own)
        others = draw.others(own, query, options.shots, f"{root}: {names[label]}")
        drawn.append(Episode(f"{number:04}-{query}-{names[label]}", label, query, tuple(others)))
    return EpisodeSet(drawn, range(len(names)), load)
