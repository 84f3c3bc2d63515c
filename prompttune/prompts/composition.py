"""Several prompts for several classes in one result."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from prompttune.companion.companion import Companion
from prompttune.keys.saving import save_prompt
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, eq=False)
class Composition:
    """Prompts that answer the same image one by one, each for its own classes at its own scale.

    Their class lists follow each other in one result. (Prompts of the *same* classes that answer
    together are `Prompt.join`.)

    Raises:
        InputError: no prompts, a class that two of them name, more classes than a palette has,
            keys of different backbones, or a prompt that tells instances apart.
    """

    prompts: tuple[Prompt, ...]

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        object.__setattr__(self, "prompts", tuple(prompts))
        if not self.prompts:
            raise InputError("composition: no prompts; give at least one")
        owner: dict[str, Prompt] = {}
        for prompt in self.prompts:
            if prompt.instance_of is not None:
                raise InputError(f"prompt {prompt.name}: tells instances apart; use it alone")
            for name in prompt.palette.classes:
                if name in owner:
                    raise InputError(
                        f"prompts {owner[name].name} and {prompt.name} both have a class '{name}'; "
                        "compose prompts of different classes"
                    )
                owner[name] = prompt
        bound = {each.fingerprint: each for each in self.prompts if each.fingerprint is not None}
        if len(bound) > 1:
            one, other = [f"{each.name} ({own[:12]})" for own, each in bound.items()][:2]
            raise InputError(f"prompts {one} and {other} were learned on different backbones")
        _ = self.palette  # raises where there are too many classes

    def __repr__(self) -> str:
        return f"Composition({', '.join(map(repr, self.prompts))})"

    @cached_property
    def palette(self) -> Palette:
        """The classes of all prompts in their order; the colors are chosen anew."""
        return Palette.of(name for each in self.prompts for name in each.palette.classes)

    @property
    def name(self) -> str:
        """The prompts' names, for messages; groups of one key share theirs."""
        return ", ".join(dict.fromkeys(each.name for each in self.prompts))

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The prompts that answer one after the other."""
        return self.prompts

    def save(self, name_or_folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Keep prompts that were learned together as one key (see `Prompt.save`).

        Args:
            name_or_folder: a name in your own zoo, or the folder to write.
            overwrite: replace a key that is there.

        Returns:
            The key's folder.

        Raises:
            InputError: as `Prompt.save`, or prompts of different keys.
        """
        return save_prompt(self, name_or_folder, overwrite)

    def push_to_hub(
        self, repo: str, *, private: bool = False, message: str = "", token: str | None = None
    ) -> str:
        """Upload prompts that were learned together as one key (see `Prompt.push_to_hub`).

        Args:
            repo: as in `Prompt.push_to_hub`.
            private: as in `Prompt.push_to_hub`.
            message: as in `Prompt.push_to_hub`.
            token: as in `Prompt.push_to_hub`.

        Returns:
            `user/name@commit`, which `load_prompt` takes.

        Raises:
            InputError: as `Prompt.push_to_hub`, or prompts of different keys.
        """
        from prompttune.hub.repository import push_prompt

        return push_prompt(self, repo, private=private, message=message, token=token)

    def resized(self, factor: float) -> "Composition":
        """Return the same prompts for images at another resolution (see `Prompt.resized`).

        Args:
            factor: above 0; 0.5 where things are shown with twice as many pixels a side.

        Returns:
            A composition of the resized prompts.

        Raises:
            InputError: as `Prompt.resized`, of any of them.
        """
        return Composition(part.resized(factor) for part in self.parts)

    def averaged(self) -> "Composition":
        """Return the composition that decides where answers are means over several zooms.

        Returns:
            A composition of what `Prompt.averaged` makes of its prompts.
        """
        return Composition(part.averaged() for part in self.prompts)

    def decide(self, scores: Tensor) -> Tensor:
        """Turn scores of all classes into a class map.

        A prompt speaks where its own classes' scores sum to over its own threshold; of those that
        speak the class with the best score wins.

        Args:
            scores: `C x H x W` in [0, 1], the classes of all prompts in their order.

        Returns:
            `H x W uint8`: 0 background, i the i-th class.
        """
        decided = torch.zeros(scores.shape[1:], dtype=torch.uint8, device=scores.device)
        best = scores.new_full(scores.shape[1:], -1)
        first = 0
        for prompt in self.prompts:
            own = scores[first : first + len(prompt.palette.classes)]
            highest, index = own.max(0)
            wins = (own.sum(0) > prompt.threshold) & (highest > best)
            best = torch.where(wins, highest, best)
            decided = torch.where(wins, (index + first + 1).to(torch.uint8), decided)
            first += len(own)
        return decided


def changed(prompt: Prompt | Composition, **fields: Any) -> Prompt | Composition:
    """Return a prompt, or every prompt of a composition, with some fields replaced."""
    if isinstance(prompt, Prompt):
        return replace(prompt, **fields)
    return Composition(replace(part, **fields) for part in prompt.parts)


def give_companion(
    prompt: Prompt | Composition, companion: Companion | None
) -> Prompt | Composition:
    """Put one companion, which knows all classes, beside a prompt or all prompts of a composition.

    Args:
        prompt: whose classes, in their order, are those of the companion.
        companion: None: they shall have none.

    Returns:
        The same prompts, each with the part of the companion's opinion that is on its classes.
    """
    if companion is None or isinstance(prompt, Prompt):
        return changed(prompt, companion=companion)
    parts, first = [], 0
    for part in prompt.parts:
        parts.append(replace(part, companion=replace(companion, first=first)))
        first += len(part.palette.classes)
    return Composition(parts)


PromptLike = Prompt | Composition | Callable[[np.ndarray], Prompt | Composition]
"""A prompt, a composition, or what chooses one for an `H x W x 3 uint8` image."""


def calibration_of(prompt: Any) -> tuple[Calibration | None, list[int]]:
    """Return the one calibration of a prompt's or composition's parts, and their class counts.

    None where they have none, or not the same: keys that were composed by hand.
    """
    # What chooses examples for each image has no parts.
    parts: Sequence[Any] = getattr(prompt, "parts", ())
    known = {id(part.calibration) for part in parts}
    groups = [len(part.palette.classes) for part in parts]
    return (parts[0].calibration if len(known) == 1 else None), groups
