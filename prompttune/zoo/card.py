"""The card of a key: what its pixels are for and where they come from (docs/key-format.md)."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from prompttune.errors import InputError
from prompttune.zoo.files import NAME

if TYPE_CHECKING:
    from prompttune.prompt import Prompt

FORMAT_VERSION = 1
FEATURES: frozenset[str] = frozenset()  # names that may stand in `required_features`
MAX_PROMPTS, MAX_CANVAS, MAX_CLASSES = 64, 4096, 254
NEAREST_TO_BLACK = 32
"""No palette colour lies nearer to the background's black than this (Euclidean, of 255)."""


def _printable(text: str) -> str:
    # Cards travel: a control code in one must not reach a terminal.
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one printable line")
    return text


def _in_utc(date: datetime) -> datetime:
    return date.astimezone(UTC).replace(microsecond=0)


Line = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_printable)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Byte = Annotated[int, Field(ge=0, le=255)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Part(BaseModel):
    # Fields of later versions are kept, so that rewriting a card loses nothing.
    model_config = ConfigDict(extra="allow", frozen=True)


class CardClass(_Part):
    """A foreground class: its name and its RGB palette colour, 0..255."""

    name: Line
    colour: tuple[Byte, Byte, Byte]


class Backbone(_Part):
    """The network a key was tuned on."""

    name: Line
    fingerprint: Line


class Normalisation(_Part):
    """What the network applies to pixel space: per channel mean and standard deviation."""

    mean: tuple[Number, Number, Number]
    std: tuple[Number, Number, Number]


class Initialisation(_Part):
    """What tuning started from; a key that started from a real image still contains it."""

    kind: Literal["noise", "generated", "example"]
    contains_real_image: bool


class Data(_Part):
    """What a key was tuned on: the numbers of images, and the hash that the format specifies."""

    layout: Line
    train: Annotated[int, Field(ge=0)]
    val: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    generated: bool


class ScoreRow(_Part):
    """One row of a comparison; any other measure may stand beside these."""

    mode: Line
    prompts: int | None = None
    dice: Share | None
    dice_sd: Share | None = None
    iou: Share | None
    auc: Share | None = None
    cldice: Share | None = None
    seconds_per_image: Number | None = None


class Scores(_Part):
    """What one command measured on one split of one data set."""

    data: Line
    split: Line
    command: Line
    rows: tuple[ScoreRow, ...]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of a table for people, without the columns that no row fills."""
        rows = [row.model_dump(include=set(ScoreRow.model_fields)) for row in self.rows]
        head = [
            field for field in ScoreRow.model_fields if any(row[field] is not None for row in rows)
        ]
        return head, [[_cell(row[field]) for field in head] for row in rows]


class Card(_Part):
    """All that a key says of itself; fields without a default are required in the file."""

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)]
    name: Name
    task: Line
    classes: Annotated[tuple[CardClass, ...], Field(min_length=1, max_length=MAX_CLASSES)]
    prompts: Annotated[int, Field(ge=1, le=MAX_PROMPTS)]
    backbone: Backbone
    canvas: Annotated[int, Field(ge=1, le=MAX_CANVAS)]
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    normalisation: Normalisation
    seg_type: Annotated[int, Field(ge=0, le=1)]
    threshold: Share
    initialisation: Initialisation
    recipe: dict[str, JsonValue]
    data: Data
    scores: tuple[Scores, ...]
    licence: Line
    library_version: Line
    date: Utc
    required_features: tuple[Line, ...] = ()
    patch: Annotated[int, Field(ge=1)] | None = None
    notes: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        colours = [entry.colour for entry in self.classes]
        if len({entry.name for entry in self.classes}) < len(colours):
            raise ValueError("classes must have distinct names")
        if len(set(colours)) < len(colours):
            raise ValueError("classes must have distinct colours")
        if any(r * r + g * g + b * b < NEAREST_TO_BLACK**2 for r, g, b in colours):
            raise ValueError("a class has a colour that cannot be told from the background's black")
        real = self.initialisation.contains_real_image
        if real and self.initialisation.kind != "example":
            raise ValueError("initialisation: only kind 'example' can contain a real image")
        if self.initialisation.kind == "example" and not (real or self.data.generated):
            raise ValueError("initialisation: an example of real data is a real image")
        return self

    @classmethod
    def of(
        cls,
        prompt: "Prompt",
        *,
        task: str,
        backbone: str,
        initialisation: Initialisation,
        recipe: Mapping[str, Any],
        data: Data,
        licence: str = "Apache-2.0",
        patch: int | None = None,
        scores: Iterable[Scores] = (),
        notes: str | None = None,
        date: datetime | None = None,
    ) -> "Card":
        """Describe a learned prompt of S x S images: what the prompt itself knows is taken from it.

        `recipe` may hold paths and tuples; they are written as text and lists.

        Raises:
            InputError: a value that no card may hold.
        """
        from prompttune.pixels import MEAN, STD

        named = zip(prompt.palette.classes, prompt.palette.colours, strict=True)
        fields = {
            "format_version": FORMAT_VERSION,
            "name": prompt.name,
            "task": task,
            "classes": [{"name": name, "colour": colour} for name, colour in named],
            "prompts": len(prompt.images),
            "backbone": {"name": backbone, "fingerprint": prompt.fingerprint},
            "canvas": prompt.images[0].shape[-1],
            "patch": patch,
            "scale": prompt.scale,
            "normalisation": {"mean": MEAN, "std": STD},
            "seg_type": prompt.seg_type,
            "threshold": prompt.threshold,
            "initialisation": initialisation,
            "recipe": json.loads(json.dumps(dict(recipe), default=str)),
            "data": data,
            "scores": tuple(scores),
            "licence": licence,
            "library_version": _library_version(),
            "date": date or datetime.now(UTC),
            "notes": notes,
        }
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InputError(f"key '{prompt.name}': {_first(error)}.") from None

    def own_dice(self) -> float | None:
        """Return the Dice of the key itself (row `tuned`) in the scores that were added last."""
        rows = [row for scores in reversed(self.scores) for row in scores.rows]
        return next((row.dice for row in rows if row.mode == "tuned"), None)

    def with_scores(self, scores: Scores) -> "Card":
        """Return the card with these scores, in place of those of the same data, split, command."""
        same = (scores.data, scores.split, scores.command)
        kept = [old for old in self.scores if (old.data, old.split, old.command) != same]
        return self.model_copy(update={"scores": (*kept, scores)})


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
    unknown = [f for f in features if f not in FEATURES] if isinstance(features, list) else []
    if unknown:
        raise InputError(
            f"{path}: the key requires {unknown[0]!a}, which this prompttune does not know: "
            "update prompttune."
        )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


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
