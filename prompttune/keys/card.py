"""The card of a key: what its pixels are for and where they come from (docs/key-format.md)."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from prompttune.keys.card_fields import Backbone as Backbone
from prompttune.keys.card_fields import Bounded, KeptTokens, Line, Name, Part, Share, Utc
from prompttune.keys.card_fields import CalibrationFields as CalibrationFields
from prompttune.keys.card_fields import CardClass as CardClass
from prompttune.keys.card_fields import CompanionFields as CompanionFields
from prompttune.keys.card_fields import Data as Data
from prompttune.keys.card_fields import DomainFields as DomainFields
from prompttune.keys.card_fields import Group as Group
from prompttune.keys.card_fields import Initialization as Initialization
from prompttune.keys.card_fields import Normalization as Normalization
from prompttune.keys.card_fields import ScoreRow as ScoreRow
from prompttune.keys.card_fields import Scores as Scores
from prompttune.keys.card_fields import Tuning as Tuning
from prompttune.keys.card_fields import ZoomedFields as ZoomedFields
from prompttune.keys.learned import Learned
from prompttune.utils.bounds import BOUNDS, PROMPT_PIXELS
from prompttune.utils.errors import InputError

FORMAT_VERSION = 1
GROUPS, TYPE_SHIFTS, COMPANION = "groups", "type_shifts", "companion"
STANDARDIZED = "standardized_companion"
FEATURES = frozenset({GROUPS, TYPE_SHIFTS, COMPANION, STANDARDIZED})
"""Names that may stand in `required_features`."""
NEAREST_TO_BLACK = 32
"""No palette color lies nearer to the background's black than this (Euclidean, of 255)."""


class Card(Part):
    """All that a key says of itself; fields without a default are required in the file."""

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)]
    name: Name
    task: Line
    classes: Annotated[tuple[CardClass, ...], Bounded("classes")]
    prompts: Annotated[int, Field(ge=1)]
    backbone: Backbone
    canvas: Annotated[int, Bounded("canvas")]
    scale: Annotated[float, Bounded("scale")] | None
    normalisation: Normalization
    seg_type: Annotated[int, Field(ge=0, le=1)]
    threshold: Share
    initialisation: Initialization
    recipe: dict[str, JsonValue]
    data: Data
    scores: tuple[Scores, ...]
    licence: Line
    library_version: Line
    date: Utc
    required_features: tuple[Line, ...] = ()
    groups: Annotated[tuple[Group, ...], Field(min_length=2)] | None = None
    patch: Annotated[int, Bounded("patch")] | None = None
    tuning: Tuning | None = None
    kept_tokens: Annotated[tuple[KeptTokens, ...], Field(min_length=1)] | None = None
    calibration: CalibrationFields | None = None
    zoomed: ZoomedFields | None = None
    domain: DomainFields | None = None
    companion: CompanionFields | None = None
    notes: str | None = None

    def grouped(self) -> list[tuple[tuple[CardClass, ...], int]]:
        """Return the classes and the number of images of each prompt, of which most keys have one.

        A group's classes and images are the next ones.
        """
        if self.groups is None:
            return [(self.classes, self.prompts)]
        ends = list(accumulate(group.classes for group in self.groups))
        starts = [0, *ends[:-1]]
        return [
            (self.classes[start:end], group.prompts)
            for start, end, group in zip(starts, ends, self.groups, strict=True)
        ]

    @model_validator(mode="after")
    def _consistent_groups(self) -> Self:
        if (self.groups is not None) != (GROUPS in self.required_features):
            raise ValueError("groups: go together with the required feature 'groups'")
        if self.groups is None:
            if not BOUNDS["prompts"].holds(self.prompts):  # of groups each has as many at most
                raise ValueError(f"prompts: must be {BOUNDS['prompts']}")
            return self
        if sum(group.classes for group in self.groups) != len(self.classes):
            raise ValueError("groups: their classes must be all of the key's")
        if sum(group.prompts for group in self.groups) != self.prompts:
            raise ValueError("groups: their prompts must be all of the key's")
        return self

    @model_validator(mode="after")
    def _consistent_companion(self) -> Self:
        if (self.companion is not None) != (COMPANION in self.required_features):
            raise ValueError("companion: goes together with the required feature 'companion'")
        standardized = self.companion is not None and self.companion.standardized
        if standardized != (STANDARDIZED in self.required_features):
            raise ValueError(
                f"companion: standardized goes together with the required feature {STANDARDIZED!a}"
            )
        if self.companion is not None and self.canvas < 2 ** (len(self.companion.widths) - 1):
            raise ValueError("companion: has more levels than the canvas can be halved")
        return self

    @model_validator(mode="after")
    def _consistent_tokens(self) -> Self:
        if self.kept_tokens is not None and len(self.kept_tokens) != len(self.grouped()):
            raise ValueError("kept_tokens: must be as many as groups")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        colors = [entry.colour for entry in self.classes]
        if len({entry.name for entry in self.classes}) < len(colors):
            raise ValueError("classes must have distinct names")
        for classes, _ in self.grouped():
            if len({entry.colour for entry in classes}) < len(classes):
                raise ValueError("classes must have distinct colors")
        if any(r * r + g * g + b * b < NEAREST_TO_BLACK**2 for r, g, b in colors):
            raise ValueError("a class has a color that cannot be told from the background's black")
        if self.prompts * self.canvas**2 > PROMPT_PIXELS:
            raise ValueError(f"prompts x canvas x canvas must be at most {PROMPT_PIXELS}")
        real = self.initialisation.contains_real_image
        if real and self.initialisation.kind != "example":
            raise ValueError("initialisation: only kind 'example' can contain a real image")
        if self.initialisation.kind == "example" and not (real or self.data.generated):
            raise ValueError("initialisation: an example of real data is a real image")
        return self

    @classmethod
    def of(
        cls,
        prompt: Learned,
        *,
        task: str,
        backbone: str,
        initialisation: Initialization,
        recipe: Mapping[str, Any],
        data: Data,
        licence: str = "Apache-2.0",
        patch: int | None = None,
        scores: Iterable[Scores] = (),
        tuning: Tuning | None = None,
        notes: str | None = None,
        date: datetime | None = None,
    ) -> "Card":
        """Describe a learned prompt of S x S images: what the prompt itself knows is taken from it.

        A composition becomes a key of groups; its prompts are alike in all but palette and what was
        learned.
        `recipe` may hold paths and tuples; they are written as text and lists.

        Raises:
            InputError: a value that no card may hold.
        """
        first = prompt.parts[0]
        fields = _said_by(prompt) | {
            "format_version": FORMAT_VERSION,
            "task": task,
            "backbone": {"name": backbone, "fingerprint": first.fingerprint},
            "patch": patch,
            "initialisation": initialisation,
            "recipe": json.loads(json.dumps(dict(recipe), default=str)),
            "data": data,
            "scores": tuple(scores),
            "licence": licence,
            "library_version": _library_version(),
            "date": date or datetime.now(UTC),
            "tuning": tuning,
            "notes": notes,
        }
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InputError(f"key '{first.name}': {_first(error)}.") from None

    def own_dice(self) -> float | None:
        """Return the Dice of the key itself (row `tuned`) in the scores that were added last."""
        rows = [row for scores in reversed(self.scores) for row in scores.rows]
        return next((row.dice for row in rows if row.mode == "tuned"), None)

    def with_scores(self, scores: Scores) -> "Card":
        """Return the card with these scores, in place of those of the same data, split, command."""
        same = (scores.data, scores.split, scores.command)
        kept = [old for old in self.scores if (old.data, old.split, old.command) != same]
        return self.model_copy(update={"scores": (*kept, scores)})


def _calibration(known: Any) -> dict[str, Any] | None:
    """Return a calibration's fields, its curves as their numbers."""
    if known is None:
        return None
    curves = {name: getattr(known, name).values for name in ("foreground", "classes")}
    return curves | {name: getattr(known, name) for name in ("dice", "crops", "held_out")}


def _said_by(prompt: Learned) -> dict[str, Any]:
    """Return the fields that a card takes from the prompt itself."""
    from prompttune.utils.normalize import MEAN, STD

    parts, first = prompt.parts, prompt.parts[0]
    groups = [{"classes": len(p.palette.classes), "prompts": len(p.images)} for p in parts]
    features = {
        GROUPS: len(parts) > 1,
        TYPE_SHIFTS: first.type_shift is not None,
        COMPANION: first.companion is not None,
        STANDARDIZED: first.companion is not None and first.companion.standardized,
    }
    return {
        "name": first.name,
        "classes": [
            {"name": name, "colour": colour}
            for part in parts
            for name, colour in zip(part.palette.classes, part.palette.colors, strict=True)
        ],
        "prompts": sum(len(part.images) for part in parts),
        "groups": groups if len(parts) > 1 else None,
        "required_features": [name for name, has in features.items() if has],
        "canvas": first.images[0].shape[-1],
        "scale": first.scale,
        "normalisation": {"mean": MEAN, "std": STD},
        "seg_type": first.seg_type,
        "threshold": first.threshold,
        "kept_tokens": first.kept_tokens and [part.kept_tokens for part in parts],
        "calibration": _calibration(first.calibration),
        "zoomed": first.zoomed
        and {
            "threshold": first.zoomed.threshold,
            "calibration": _calibration(first.zoomed.calibration),
        },
        "domain": first.domain and {"width": first.domain.width, "limit": first.domain.limit},
        "companion": first.companion
        and {
            "widths": first.companion.widths,
            "share": first.companion.share,
            "standardized": first.companion.standardized,
        },
    }


def write_json(card: Card) -> str:
    """Return the card as the one JSON text that stands for it."""
    return json.dumps(
        card.model_dump(mode="json"),
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )


def read_json(text: str, path: Path) -> Card:
    """Read a card strictly; `path` is the key it came from, for errors.

    Raises:
        InputError: not JSON, a newer version or unknown required feature, a missing or wrong field.
    """
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the card is not valid JSON ({error}).") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: the card is not a JSON object.")
    _check_version(raw, path)
    try:
        return Card.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}. The key must be made anew.") from None


def _check_version(raw: dict[str, Any], path: Path) -> None:
    # Before the fields: a newer format may have others, and "update" is the better advice.
    found = raw.get("format_version")
    if isinstance(found, int) and found > FORMAT_VERSION:
        raise InputError(
            f"{path}: key format version {found} is newer than {FORMAT_VERSION}, "
            "the newest that this prompttune reads: update prompttune."
        )
    features = raw.get("required_features")
    unknown = (
        [f for f in features if f not in tuple(FEATURES)] if isinstance(features, list) else []
    )
    if unknown:
        raise InputError(
            f"{path}: the key requires {unknown[0]!a}, which this prompttune does not know: "
            "update prompttune."
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")


def _first(error: ValidationError) -> str:
    """Say in one line what is wrong with the first wrong field."""
    first, *others = error.errors(include_url=False, include_context=False, include_input=False)
    field = ".".join(str(step) for step in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    text = f"card field '{field}': {message}" if field else f"card: {message}"
    return f"{text} (and {len(others)} more)" if others else text


def _library_version() -> str:
    try:
        return version("prompttune")
    except PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
