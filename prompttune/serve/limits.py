"""What a server takes on, and the one exception for what it does not."""

from dataclasses import dataclass

from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Bounds of single requests and of all together; each is answered with a 4xx of its own.

    Raises:
        InputError: a bound that is not above 0.
    """

    bytes: int = 64 * 2**20
    """Of a request's body: 413."""
    pixels: int = 50_000_000
    """Of an image: 413."""
    queue: int = 64
    """Requests that are being answered or wait for it; further ones get 429."""
    seconds: float = 120.0
    """From a request's arrival to its answer: 408."""
    examples: int = 16
    """Images that stand as examples in a request: 422."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"limit of {name}: must be above 0, not {value}")


class Refused(Exception):
    """A request that is not answered: the status, one clear sentence, and further headers."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}
