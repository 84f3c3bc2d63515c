"""A sampler that never ends and can start anywhere: what exact resumes stand on."""

import itertools
from collections.abc import Iterator

from torch.utils.data import Sampler


class EndlessSampler(Sampler[int]):
    """Yields start, start + 1, ... for data sets whose item i depends on (seed, i) alone.

    It has no length on purpose: the trainer's step count ends the run, and a resumed run begins at
    the index that the killed one would have used next.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start)
