"""What a benchmark is: cases that are answered one by one, and a summary of all outcomes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

Outcomes = Mapping[str, dict[str, Any]]
"""Of each case by its name: what was counted, values of JSON, among them `value`."""


@dataclass(frozen=True)
class Options:
    """What a user asks of a benchmark.

    Raises:
        InputError: of the adapter that is asked for what its protocol does not have.
    """

    shots: int = 1
    """Examples an answer sees."""
    fold: int = 0
    ensemble: Literal["feature", "spatial"] = "feature"
    memory: int = 1
    """Of videos: K, earlier frames that prompt the next one."""
    seed: int = 0
    prompts: tuple[Prompt | Composition, ...] = ()
    """Keys that answer in place of examples."""


@dataclass(frozen=True)
class Panels:
    """What a picture shows of a case."""

    image: np.ndarray
    """The query, `H x W x 3 uint8`."""
    truth: np.ndarray
    """`H x W uint8`; 255 does not count."""
    answer: np.ndarray
    """`H x W uint8`."""
    palette: Palette


class Benchmark(ABC):
    """A set that is open, with all that is to be answered."""

    batch = 1
    """So many cases are answered at a time."""
    unit = "cases"
    main = "mIoU"
    """The value of a whole run that the table names first."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter

    @property
    @abstractmethod
    def cases(self) -> Sequence[str]:
        """The names of all cases, in the order of the protocol; none stands there twice."""

    def order(self, cases: Sequence[str]) -> Sequence[str]:
        """Return cases in the order in which they are cheapest to answer."""
        return cases

    @abstractmethod
    def run(self, cases: Sequence[str], output: Path) -> Iterator[dict[str, Any]]:
        """Answer cases; give for each what is counted. `output` takes files that are handed in."""

    @abstractmethod
    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return the values of the table from the outcomes of all cases, by their names."""

    @abstractmethod
    def panels(self, case: str, output: Path) -> Panels:
        """Return what a picture of a case shows."""

    def hand_in(self, output: Path) -> Path | None:
        """Write the file that the set's server takes, where there is one."""
        return None


Open = Callable[[Path, Segmenter, Options], Benchmark]


@dataclass(frozen=True)
class Protocol:
    """One public benchmark."""

    name: str
    title: str
    home: str
    """Where the set is to be had."""
    terms: str
    """Of its owners, shortened."""
    open: Open
    folds: int = 1
    shots: Literal["any", "one"] = "any"
    takes_key: Literal["no", "may", "must"] = "no"
    how: str = ""
    """How answers come about and are scored, for the report."""
