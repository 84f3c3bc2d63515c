"""How far an answer can be relied on, as it is told with every answer."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from prompttune.inference.result import Result


@dataclass(frozen=True)
class Trust:
    """What is known of an answer's quality; None: not known, as with all examples."""

    expected_dice: float | None
    """The Dice that it can be expected to have, in [0, 1]."""
    confidence: float | None
    """The probability that a pixel's class is right, the mean over the pixels, in [0, 1]."""
    in_domain: bool | None
    """Whether the image is like those that the key was learned from; if not, both are too high."""

    @classmethod
    def of(cls, result: Result) -> "Trust":
        """Return what is known of a result."""
        dice, confidence = result.expected_dice, result.confidence
        return cls(
            None if dice is None else round(float(dice), 4),
            None if confidence is None else round(float(confidence.mean()), 4),
            result.in_domain,
        )

    def fields(self) -> dict[str, Any]:
        """Return it for JSON, with `null` for what is not known."""
        return asdict(self)

    def headers(self) -> dict[str, str]:
        """Return it as headers of a response; what is not known is left out."""
        names = {name: f"x-prompttune-{name.replace('_', '-')}" for name in self.fields()}
        known = {name: value for name, value in self.fields().items() if value is not None}
        return {names[name]: json.dumps(value) for name, value in known.items()}
