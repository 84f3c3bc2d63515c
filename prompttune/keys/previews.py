"""Pictures and a README for people, derived from a key and never read back."""

import json
from pathlib import Path

import numpy as np
from torch import Tensor

from prompttune.companion.shapes import weight_count
from prompttune.keys.card import Card, Scores
from prompttune.utils.contact_sheet import encode_png, grid
from prompttune.utils.io import write_synced
from prompttune.utils.normalize import to_uint8
from prompttune.utils.pages import table

SHOWN = 256  # pixels; smaller prompts are enlarged by a whole factor to at least this
_GAP = 8


def write_previews(folder: Path, images: Tensor, colors: Tensor, card: Card) -> None:
    """Write `images.png`, `colours.png`, `preview.png` (both side by side) and `README.md`.

    Args:
        folder: of the key.
        images: `N x 3 x S x S` in pixel space; values outside [0, 1] are shown clipped.
        colors: of the images, likewise.
        card: of the key.
    """
    shown, painted = ([_enlarged(plane) for plane in planes] for planes in (images, colors))
    pairs = [list(pair) for pair in zip(shown, painted, strict=True)]
    for name, rows in (("images", [shown]), ("colours", [painted]), ("preview", pairs)):
        picture = encode_png(grid(rows, _GAP, (255, 255, 255)), level=6)
        write_synced(folder / f"{name}.png", picture)
    write_synced(folder / "README.md", readme(card).encode())


def readme(card: Card) -> str:
    """Return the Markdown page of a key; it is a function of the card alone."""
    scale = "queries are fitted whole"
    if card.scale is not None:
        scale = f"at {card.scale:g} canvas pixels an image pixel"
    kept = (
        "**a real image, which this key contains**"
        if card.initialisation.contains_real_image
        else ""
    )
    generated = " (generated)" if card.data.generated else ""
    facts = {
        "task": card.task,
        "backbone": f"{card.backbone.name}, fingerprint `{card.backbone.fingerprint}`",
        "prompts": f"{card.prompts} of {card.canvas} x {card.canvas} pixels, {scale}",
        **_groups(card),
        "started from": kept or f"{card.initialisation.kind}; it contains no real image",
        "tuned on": f"{card.data.layout}{generated}: {card.data.train} images, "
        f"chosen on {card.data.val} others",
        **_tuning(card),
        **_tokens(card),
        **_companion(card),
        "license": card.licence,
        "made": f"{card.date:%Y-%m-%d}, prompttune {card.library_version}",
    }
    classes = [[entry.name, "#{:02x}{:02x}{:02x}".format(*entry.colour)] for entry in card.classes]
    parts = [
        f"# {card.name}",
        "A learned prompt for SegGPT. This page and the pictures are made from "
        "`prompt.safetensors`: nothing reads them, and changes to them are lost.",
        "![prompt images beside their colors](preview.png)",
        f"```\npython -m prompttune.predict --prompt {card.name} IMAGES... --output DIR\n```",
        table(["", ""], [[key, value] for key, value in facts.items()]),
        table(["class", "palette color"], classes),
        *(_scores(scores) for scores in card.scores),
        *([card.notes] if card.notes else []),
        f"Recipe:\n\n```json\n{json.dumps(card.recipe, indent=2, sort_keys=True)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _groups(card: Card) -> dict[str, str]:
    if card.groups is None:
        return {}
    counts = " + ".join(str(group.classes) for group in card.groups)
    return {"groups": f"{counts} classes, each group with prompts of its own"}


def _tokens(card: Card) -> dict[str, str]:
    if card.kept_tokens is None:
        return {}
    return {"compact": f"later blocks see {len(card.kept_tokens[0][0])} of its tokens"}


def _companion(card: Card) -> dict[str, str]:
    if card.companion is None:
        return {}
    weights = weight_count(card.companion.widths, len(card.classes))
    share = f"{100 * card.companion.share:.0f} %"
    return {"companion": f"a U-Net of {weights:,} weights beside the prompt; it counts {share}"}


def _tuning(card: Card) -> dict[str, str]:
    if card.tuning is None:
        return {}
    return {"took": f"{card.tuning.seconds:.0f} s in {card.tuning.precision}"}


def _scores(scores: Scores) -> str:
    rows = table(*scores.table())
    return f"Scores on {scores.data}, {scores.split}:\n\n{rows}\n\n```\n{scores.command}\n```"


def _enlarged(plane: Tensor) -> np.ndarray:
    """Turn 3 x S x S in pixel space into S' x S' x 3 uint8, each pixel a square of k x k."""
    pixels = to_uint8(plane)
    factor = -(-SHOWN // pixels.shape[0])
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
