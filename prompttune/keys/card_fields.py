"""What a key's card is made of: its parts, each checked by itself.

Fields are called as the format calls them (docs/key-format.md), in British spelling too: files of
keys that are out in the world have these names.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from prompttune.keys.files import NAME
from prompttune.utils.bounds import BOUNDS


def _printable(text: str) -> str:
    # Cards travel: a control code in one must not reach a terminal.
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one printable line")
    return text


def _in_utc(date: datetime) -> datetime:
    return date.astimezone(UTC).replace(microsecond=0)


def Bounded(name: str) -> AfterValidator:
    """Bound a number, or a length, as `prompttune.utils.bounds` does."""

    def within(value: Any) -> Any:
        bound = BOUNDS[name]
        if not bound.holds(len(value) if isinstance(value, tuple) else value):
            raise ValueError(f"must be {bound}")
        return value

    return AfterValidator(within)


LONGEST_LINE = 1000
Line = Annotated[str, Field(min_length=1, max_length=LONGEST_LINE), AfterValidator(_printable)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Byte = Annotated[int, Field(ge=0, le=255)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Part(BaseModel):
    """What all parts share."""

    # Fields of later versions are kept, so that rewriting a card loses nothing.
    model_config = ConfigDict(extra="allow", frozen=True)


class CardClass(Part):
    """A foreground class: its name and its RGB palette color, 0..255."""

    name: Line
    colour: tuple[Byte, Byte, Byte]


class Backbone(Part):
    """The network a key was tuned on."""

    name: Line
    fingerprint: Line


class Normalization(Part):
    """What the network applies to pixel space: per channel mean and standard deviation."""

    mean: tuple[Number, Number, Number]
    std: tuple[Number, Number, Number]


class Initialization(Part):
    """What tuning started from; a key that started from a real image still contains it."""

    kind: Literal["noise", "generated", "example"]
    contains_real_image: bool


class Data(Part):
    """What a key was tuned on: the numbers of images, and the hash that the format specifies."""

    layout: Line
    train: Annotated[int, Field(ge=0)]
    val: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    generated: bool


class Group(Part):
    """One of several prompts of a key: it has the next so many classes, and so many images."""

    classes: Annotated[int, Field(ge=1)]
    prompts: Annotated[int, Bounded("prompts")]


class Tuning(Part):
    """How tuning was computed: in which precision, and the seconds that it took."""

    precision: Literal["fp32", "bf16"]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


Curve = Annotated[tuple[Share, ...], Field(min_length=33, max_length=33)]


def _ascending(blocks: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    if any(list(each) != sorted(set(each)) for each in blocks):
        raise ValueError("tokens must be ascending")
    if len({len(each) for each in blocks}) > 1:
        raise ValueError("each block must keep as many tokens")
    return blocks


KeptTokens = Annotated[
    tuple[Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)], ...],
    Field(min_length=1),
    AfterValidator(_ascending),
]


class CalibrationFields(Part):
    """What the key's scores are worth, as validation images taught (docs/key-format.md)."""

    foreground: Curve
    classes: Curve
    dice: tuple[Number, Number]
    crops: Annotated[int, Field(ge=1)]
    held_out: bool

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for values in (self.foreground, self.classes):
            if list(values) != sorted(values):
                raise ValueError("curves must not fall")
        return self


class ZoomedFields(Part):
    """What replaces threshold and calibration where an answer is the mean over zooms."""

    threshold: Share
    calibration: CalibrationFields


class DomainFields(Part):
    """What the tensor `domain_centers` needs to tell an image that is unlike."""

    width: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CompanionFields(Part):
    """What the tensor `companion` needs to be a network, and what its opinion counts."""

    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=128)], ...], Field(min_length=1, max_length=6)
    ]
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    standardized: bool = False


class ScoreRow(Part):
    """One row of a comparison; any other measure may stand beside these."""

    mode: Line
    prompts: int | None = None
    dice: Share | None
    dice_sd: Share | None = None
    iou: Share | None
    auc: Share | None = None
    cldice: Share | None = None
    seconds_per_image: Number | None = None
    ece_before: Share | None = None
    ece: Share | None = None
    expected_dice_r: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None


class Scores(Part):
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


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
