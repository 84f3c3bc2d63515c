"""A key as the prompt, or the composition of prompts, that it keeps."""

from pathlib import Path

from torch import Tensor

from prompttune.companion.companion import Companion
from prompttune.keys.card import COMPANION, TYPE_SHIFTS, CalibrationFields, Card
from prompttune.keys.header import CENTERS
from prompttune.keys.key import read_key
from prompttune.prompts.composition import Composition, give_companion
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve, Zoomed
from prompttune.reliability.domain import Domain


def load_key(
    path: str | Path, fingerprint: str | None = None, backbone: str = "the one in use"
) -> tuple[Prompt | Composition, Card]:
    """Read a key, given as its folder or file, with every check of the format, as float32.

    A key of groups is a composition of their prompts, any other one prompt.

    `fingerprint` is that of the network it will be used with, `backbone` its name for the error.

    Raises:
        InputError: any break of the format, or another fingerprint.
    """
    tensors, card = read_key(path, fingerprint, backbone)
    parts = _split(tensors, card)
    prompt = parts[0] if card.groups is None else Composition(parts)
    return give_companion(prompt, _companion(tensors, card)), card


def _split(tensors: dict[str, Tensor], card: Card) -> list[Prompt]:
    """Give each group its own classes and images."""
    sizes = [prompts for _, prompts in card.grouped()]
    halves = zip(*(tensors[name].split(sizes) for name in ("images", "colours")), strict=True)
    shifts = tensors.get(TYPE_SHIFTS, [None] * len(sizes))
    calibration = None if card.calibration is None else _calibration(card.calibration)
    zoomed, domain = _zoomed(card), _domain(tensors, card)
    return [
        Prompt(
            images=tuple(images),
            colors=tuple(colors),
            palette=Palette(
                classes=tuple(entry.name for entry in classes),
                colors=tuple(entry.colour for entry in classes),
            ),
            scale=card.scale,
            canvas=card.canvas,
            seg_type=card.seg_type,
            type_shift=shift,
            threshold=card.threshold,
            fingerprint=card.backbone.fingerprint,
            name=card.name,
            card=card,
            kept_tokens=kept,
            calibration=calibration,
            zoomed=zoomed,
            domain=domain,
        )
        for (classes, _), (images, colors), shift, kept in zip(
            card.grouped(), halves, shifts, card.kept_tokens or [None] * len(sizes), strict=True
        )
    ]


def _calibration(said: CalibrationFields) -> Calibration:
    curves = Curve(said.foreground), Curve(said.classes)
    return Calibration(*curves, said.dice, said.crops, said.held_out)


def _zoomed(card: Card) -> Zoomed | None:
    said = card.zoomed
    return None if said is None else Zoomed(said.threshold, _calibration(said.calibration))


def _domain(tensors: dict[str, Tensor], card: Card) -> Domain | None:
    if card.domain is None:
        return None
    return Domain(tensors[CENTERS].numpy(), card.domain.width, card.domain.limit)


def _companion(tensors: dict[str, Tensor], card: Card) -> Companion | None:
    said = card.companion
    if said is None:
        return None
    weights, count = tensors[COMPANION], len(card.classes)
    return Companion(weights, said.widths, count, said.share, said.standardized)
