"""Classes in groups: more of them than one prompt's colors can carry are shared among several."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from prompttune.data.layouts import LoadedSample
from prompttune.utils.constants import IGNORE


def class_groups(classes: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """Share classes, in their order, among as few groups as can be, as evenly as can be.

    Args:
        classes: names.
        most: classes of a group; 0: no limit.
    """
    count = -(-len(classes) // most) if most else 1
    parts = np.array_split(np.arange(len(classes)), count)
    return [tuple(classes[index] for index in part) for part in parts]


def relabeling(classes: Sequence[str], own: Sequence[str]) -> np.ndarray:
    """Return the table from class indices among `classes` to those among `own`, `256 uint8`.

    Classes that are not `own` are background; 255 (ignore) stays.
    """
    table = np.zeros(IGNORE + 1, np.uint8)
    table[IGNORE] = IGNORE
    for index, name in enumerate(classes, 1):
        table[index] = own.index(name) + 1 if name in own else 0
    return table


def groups_in_turn(shown: Tensor, step: int, count: int) -> list[int]:
    """Choose the groups that learn at a step: all have their turn, those first that are shown.

    Args:
        shown: `groups` integers, how many classes of each group the batch shows.
        step: from 0.
        count: how many groups learn at a step; 0: all.

    Returns:
        Indices of groups, ascending.
    """
    groups = len(shown)
    if not 0 < count < groups:
        return list(range(groups))
    wait = (torch.arange(groups) - step * count) % groups
    order = sorted(range(groups), key=lambda group: (not shown[group], int(wait[group])))
    return sorted(order[:count])


class Relabeled(Sequence[LoadedSample]):
    """Samples whose class maps go through a table when they are asked for."""

    def __init__(self, samples: Sequence[LoadedSample], table: np.ndarray) -> None:
        self.samples, self.table = samples, table

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[LoadedSample]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> LoadedSample: ...
    @overload
    def __getitem__(self, index: slice) -> "Relabeled": ...
    def __getitem__(self, index: Any) -> Any:
        chosen = self.samples[index]
        if isinstance(index, slice):
            return Relabeled(chosen, self.table)
        return replace(chosen, class_map=self.table[chosen.class_map])
