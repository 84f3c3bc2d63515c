"""What of a prompt a key keeps: all that this room needs to know of prompts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor  # cards are read without it


class LearnedPalette(Protocol):
    """The names and colors of the classes."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the foreground classes."""

    @property
    def colors(self) -> Sequence[tuple[int, int, int]]:
        """Their RGB colors, 0..255."""


class LearnedPart(Protocol):
    """One prompt of a key (`prompttune.Prompt`)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """The key's."""

    @property
    def images(self) -> "tuple[Tensor, ...]":
        """`3 x S x S` each, in pixel space."""

    @property
    def colors(self) -> "tuple[Tensor, ...]":
        """`3 x S x S` each, in pixel space."""

    @property
    def palette(self) -> LearnedPalette:
        """The classes, and the colors they are painted in."""

    @property
    def scale(self) -> Any:
        """Canvas pixels an image pixel; None: images are fitted whole."""

    @property
    def seg_type(self) -> int:
        """Type token: 0 semantic, 1 instance."""

    @property
    def type_shift(self) -> "Tensor | None":
        """What was learned of the type token."""

    @property
    def threshold(self) -> float:
        """Of the sum of the classes' scores."""

    @property
    def fingerprint(self) -> str | None:
        """Of the backbone it was tuned on."""

    @property
    def kept_tokens(self) -> tuple[tuple[int, ...], ...] | None:
        """Of each later block the tokens that are kept; None: all."""

    @property
    def calibration(self) -> Any:
        """A dataclass with the card's fields, or None."""

    @property
    def zoomed(self) -> Any:
        """A dataclass with the card's fields, or None."""

    @property
    def domain(self) -> "LearnedDomain | None":
        """What the training images were like."""

    @property
    def companion(self) -> "LearnedCompanion | None":
        """The small network beside it."""


class LearnedCompanion(Protocol):
    """A small network beside a prompt (`prompttune.companion.companion.Companion`)."""

    @property
    def weights(self) -> "Tensor":
        """All numbers, which half precision holds."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""

    @property
    def share(self) -> float:
        """What its opinion counts."""

    @property
    def standardized(self) -> bool:
        """Whether it sees windows standardized."""


class LearnedDomain(Protocol):
    """A summary of training images (`prompttune.reliability.domain.Domain`)."""

    @property
    def centers(self) -> "np.ndarray":
        """`K x D float32`, which half precision holds."""

    @property
    def width(self) -> float:
        """Of the training windows around them."""

    @property
    def limit(self) -> float:
        """The distance beyond which an image is unlike."""


class Learned(Protocol):
    """A prompt or a composition of several, one for each group of classes."""

    @property
    def parts(self) -> Sequence[LearnedPart]:
        """The prompts that answer one after the other."""
