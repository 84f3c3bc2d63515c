"""Keep a prompt that was learned, or a key that was fetched, under a name or in a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import torch

from prompttune.keys.card import Card
from prompttune.keys.files import KEY_FILE, check_name, is_name, publish, save_folder, staging
from prompttune.keys.key import check_savable, read_key, save_key
from prompttune.keys.learned import LearnedPart
from prompttune.keys.previews import write_previews
from prompttune.utils.errors import InputError
from prompttune.utils.io import write_synced


class CardedPart(LearnedPart, Protocol):
    """One prompt that may have been learned."""

    @property
    def card(self) -> Card | None:
        """What is known of it; None: it was not learned."""


class Savable(Protocol):
    """A prompt or a composition (`prompttune.Prompt`, `prompttune.Composition`)."""

    @property
    def parts(self) -> Sequence[CardedPart]:
        """The prompts that answer one after the other."""


@dataclass(frozen=True)
class _Named:
    parts: Sequence[LearnedPart]


def save_prompt(
    prompt: Savable, name_or_folder: str | PathLike[str], overwrite: bool = False
) -> Path:
    """Keep a learned prompt as a key; arguments, result and errors are those of `Prompt.save`."""
    text = os.fspath(name_or_folder)
    folder = save_folder() / text if is_name(text) else Path(text).expanduser().absolute()
    return save_learned(prompt, folder, overwrite)


def save_learned(prompt: Savable, folder: Path, overwrite: bool = False) -> Path:
    """Write a learned prompt, with the card that it bears, as the key `folder`; return that folder.

    Raises:
        InputError: as `save_key`, or a prompt that was not learned, or not as one.
    """
    parts, card = prompt.parts, prompt.parts[0].card
    if card is None:
        raise InputError(
            f"prompt {_names(parts)}: was not learned; a key is what `tune` returns, examples are "
            "kept as the files that they are"
        )
    if any(part.card is not card for part in parts):
        raise InputError(f"prompts {_names(parts)}: are keys of their own; save each by itself")
    changes: dict[str, Any] = {"name": folder.name}
    if parts[0].threshold != card.threshold:  # what was scored was decided with another
        changes |= {"threshold": parts[0].threshold, "scores": ()}
    kept = _Named([replace(part, name=folder.name) for part in parts])
    planes = [plane for part in parts for plane in (*part.images, *part.colors)]
    exact = all(torch.equal(plane.half().float(), plane) for plane in planes)
    dtype = torch.float16 if exact else torch.float32  # half the size where nothing is lost
    card = card.model_copy(update=changes)
    return save_key(kept, card, folder.parent, overwrite=overwrite, dtype=dtype)


def _names(parts: Sequence[LearnedPart]) -> str:
    return ", ".join(dict.fromkeys(part.name for part in parts))


def keep_key(data: bytes, zoo: Path, name: str | None = None, overwrite: bool = False) -> Path:
    """Check a key and write it into a zoo; return its folder.

    Args:
        data: its file.
        zoo: a folder of keys.
        name: of its folder; None: the one on its card.
        overwrite: replace a key that is there.

    Raises:
        InputError: a file that breaks the format, a name that is not allowed or taken. Nothing is
            written then.
    """
    with staging(zoo, "pulled") as staged:
        write_synced(staged / KEY_FILE, data)
        tensors, card = read_key(staged / KEY_FILE)
        name = name or card.name
        check_name(name)
        check_savable(name, zoo, overwrite)
        write_previews(staged, tensors["images"], tensors["colours"], card)
        publish(staged, zoo / name, overwrite)
    return zoo / name
