"""Which samples a step takes, and on which device; the same ones on any number of devices."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import Sampler, default_collate


@dataclass(frozen=True)
class Share:
    """One device's share of the batches: step t takes samples `t * batch ... (t + 1) * batch - 1`.

    The last `made` of a batch are made on the device that trains, the others come from the loader;
    of both, each of `world` devices takes every `world`-th.
    """

    batch: int
    made: int = 0
    rank: int = 0
    world: int = 1

    def loaded(self, step: int) -> range:
        """Return the indices that the loader makes."""
        first = step * self.batch
        return range(first + self.rank, first + self.batch - self.made, self.world)

    def generated(self, step: int) -> range:
        """Return the indices that are made on the device."""
        loaded = self.batch - self.made
        first, after = step * self.batch, (step + 1) * self.batch
        return range(first + loaded + (self.rank - loaded) % self.world, after, self.world)


class StepSampler(Sampler[list[int]]):
    """Yields the loader's indices step by step, without end, from any step on.

    For data sets whose item i depends on (seed, i) alone; the trainer's step count ends the run.
    """

    def __init__(self, share: Share, start: int = 0) -> None:
        self.share, self.start = share, start

    def __iter__(self) -> Iterator[list[int]]:
        return (list(self.share.loaded(step)) for step in itertools.count(self.start))


def collate(samples: list[dict[str, Tensor]]) -> dict[str, Any]:
    """Stack samples; none, where all are made on the device, make an empty batch."""
    return default_collate(samples) if samples else {}
