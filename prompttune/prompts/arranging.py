"""How examples stand together: what may join, how a grid is laid out, colors of instances."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from prompttune.prompts.palette import Palette
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.tiling import resize, resize_nearest, tiled


def in_a_grid(prompt: Any) -> Any:
    """Lay the examples out in one image, each resized to the size of the first."""
    side = math.isqrt(len(prompt.images) - 1) + 1
    order = [place % len(prompt.images) for place in range(side**2)]
    size = (prompt.images[0].shape[1], prompt.images[0].shape[2])
    images = tiled([resize(prompt.images[index], size) for index in order], side)
    colors = tiled([resize_nearest(prompt.colors[index], size) for index in order], side)
    return replace(prompt, images=(images,), colors=(colors,))


def colored_instances(
    numbered: Sequence[np.ndarray], name: str
) -> tuple[Palette, tuple[Tensor, ...]]:
    """Color the instances of some images; there are no more colors than one of them needs."""
    compact = [_renumbered(ids) for ids in numbered]
    count = max(1, *(int(ids[ids != IGNORE].max(initial=0)) for ids in compact))
    palette = Palette.of(f"{name} {number}" for number in range(1, count + 1))
    return palette, tuple(palette.paint(ids) for ids in compact)


def renumbered_instances(prompt: Any) -> Any:
    """Color anew the instances that windows show: fewer colors lie farther apart."""
    palette, name = prompt.palette, prompt.instance_of or ""
    numbered = [palette.decide(palette.scores(colors)).numpy() for colors in prompt.colors]
    palette, colors = colored_instances(numbered, name)
    return replace(prompt, palette=palette, colors=colors)


def _renumbered(ids: np.ndarray) -> np.ndarray:
    """Number the instances that an image shows from 1 on, without gaps."""
    table = np.zeros(IGNORE + 1, np.uint8)
    shown = [value for value in np.unique(ids) if value not in (0, IGNORE)]
    table[shown] = np.arange(1, len(shown) + 1)
    table[IGNORE] = IGNORE
    return table[ids]


def check_joins(prompt: Any, lead: Any) -> None:
    """Refuse a prompt that cannot stand in one ensemble with another.

    Args:
        prompt: a `Prompt`.
        lead: the `Prompt` that gives palette, canvas and type token.

    Raises:
        InputError: they differ in classes, backbone, canvas, scale or kind.
    """

    def clash(what: str, own: object, other: object, remedy: str) -> InputError:
        names = f"{prompt.name} and {lead.name}"
        return InputError(f"prompts {names}: {what} {own} and {other}; {remedy}")

    own, other = prompt.palette, lead.palette
    if set(own.classes) != set(other.classes):
        listed = ", ".join(own.classes), ", ".join(other.classes)
        raise clash("classes", listed[0], listed[1], "joined prompts share their classes")
    if prompt.fingerprint is not None and lead.fingerprint is not None:
        marks = prompt.fingerprint[:12], lead.fingerprint[:12]
        if prompt.fingerprint != lead.fingerprint:
            raise clash("backbones", marks[0], marks[1], "joined keys share their backbone")
        if own != other:
            raise clash("colors", own.colors, other.colors, "joined keys share their palette")
    if prompt.canvas is not None and lead.canvas is not None and prompt.canvas != lead.canvas:
        raise clash("canvases", prompt.canvas, lead.canvas, "joined keys share their canvas")
    if prompt.grid != lead.grid:
        raise clash("grids", prompt.grid, lead.grid, "give both a scale")
    if prompt.scale != lead.scale:
        raise clash("scales", prompt.scale, lead.scale, "give the examples the key's scale")
    if (prompt.seg_type, prompt.instance_of) != (lead.seg_type, lead.instance_of):
        raise clash("type tokens", prompt.seg_type, lead.seg_type, "join prompts of one kind")
