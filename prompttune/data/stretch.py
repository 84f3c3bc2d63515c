"""From deep numbers to 8 bits: one range for a whole data set, or a picture's own.

Cameras, scanners and microscopes write 16 bits of which they use a part. The range that is shown as
black to white is named like this: `full` is all of the type (0..65535), `image` each picture's own
1st to 99th percentile, `LOW,HIGH` these two numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prompttune.utils.errors import InputError

PERCENTILES = (1, 99)
NARROW = 4
"""A picture whose numbers span less than this part of the type's range is stretched, not cut."""
_SAMPLED = 20_000


@dataclass(frozen=True)
class Stretch:
    """The numbers that become 0 and 255; what lies outside is cut off."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> "Stretch":
        """Read `LOW,HIGH`.

        Raises:
            InputError: not two numbers, the first below the second.
        """
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            low = high = 0.0
        if not low < high:
            raise InputError(
                f"stretch '{text}': give LOW,HIGH (two numbers, the first below the second), "
                "image, full or auto"
            )
        return cls(low, high)

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Turn numbers of any shape into `uint8`; what is no number becomes 0."""
        scaled = (numbers.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.nan_to_num(scaled.round().clip(0, 255)).astype(np.uint8)

    def share_outside(self, numbers: np.ndarray) -> float:
        """Return the share of numbers that are cut off."""
        return float(((numbers < self.low) | (numbers > self.high)).mean())

    def __str__(self) -> str:
        return f"{self.low:g},{self.high:g}"


def own_stretch(numbers: np.ndarray) -> Stretch | None:
    """Return the percentiles of a picture, or of a sample of several; None where all are equal."""
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    if finite.size == 0:
        return None
    low, high = (float(each) for each in np.percentile(finite, PERCENTILES))
    if not low < high:  # a few bright spots on black: they are what the picture shows
        low, high = float(finite.min()), float(finite.max())
    return Stretch(low, high) if low < high else None


def is_narrow(numbers: np.ndarray) -> bool:
    """Say whether numbers use a small part of 16 bits, so that 8 of them would show little."""
    if numbers.dtype != np.uint16 or numbers.size == 0:
        return False
    low, high = np.percentile(numbers, (0.1, 99.9))
    return bool(high - low < 65536 / NARROW)


def plain_numbers(numbers: np.ndarray, counted: np.ndarray) -> np.ndarray | None:
    """Return numbers of a wide type that hold 8 or 16 bits, or shares 0..1, in the plain type.

    So NumPy writes pictures that went through its default integers or through scikit-image. None
    where numbers are of a plain type, or hold something else.
    """
    kind = numbers.dtype
    if kind in (np.uint8, np.uint16, np.bool_) or counted.size == 0:
        return None
    low, high = counted.min(), counted.max()
    if kind.kind == "f":
        if not (low >= 0 and 0 < high <= 1):  # so also where one is infinite
            return None
        filled = np.nan_to_num(numbers).clip(0, 1).astype(np.float32)  # 16-bit ones end at 65504
        return (filled * 65535).round().astype(np.uint16)
    if kind.itemsize < 4 or low < 0 or high > 65535:
        return None
    return numbers.clip(0, 65535).astype(np.uint8 if high <= 255 else np.uint16)


def to_bytes(
    numbers: np.ndarray, stretch: str | None, name: object, counted: np.ndarray | None = None
) -> tuple[np.ndarray, Stretch | None]:
    """Turn stored numbers into 8 bits, and say by which stretch (None: by none that is chosen).

    Args:
        numbers: of any shape and type; 8 bits stay what they are.
        stretch: `image`, `full`, `LOW,HIGH`; None or `auto`: 16 bits are taken whole, or as `image`
            where they use less than a quarter of the range.
        name: of the file, for errors.
        counted: those that choose a stretch; None: all.

    Raises:
        InputError: numbers without a known range, such as floats, and no stretch.
    """
    if numbers.dtype == bool:
        return numbers.astype(np.uint8) * np.uint8(255), None
    if numbers.dtype == np.uint8:
        return numbers, None
    counted = numbers if counted is None else counted
    if counted.dtype.kind == "f" and (none := np.isnan(counted)).any():
        counted = counted[~none]
    automatic = stretch in (None, "auto")
    if automatic and (plain := plain_numbers(numbers, counted)) is not None:
        return to_bytes(plain, stretch, name, plain_numbers(counted, counted))
    if stretch not in (None, "auto", "image", "full"):
        chosen: Stretch | None = Stretch.parse(str(stretch))
    elif stretch == "image" or (automatic and is_narrow(counted)):
        chosen = own_stretch(counted)
    elif numbers.dtype == np.uint16:
        return ((numbers.astype(np.uint32) + 128) // 257).astype(np.uint8), None
    else:
        raise InputError(
            f"{name}: pixels are {numbers.dtype} numbers, whose black and white are not known; "
            "give --stretch image or --stretch LOW,HIGH, or save it with 8 or 16 bits a channel"
        )
    if chosen is None:  # all of one value
        return np.zeros(numbers.shape, np.uint8), None
    return chosen.apply(numbers), chosen


def common_stretch(pictures: Iterable[np.ndarray]) -> str | None:
    """Choose one range for a data set: percentiles over samples of all its pictures.

    Returns:
        `LOW,HIGH`, `full` for 16 bits that are well used, None where all pictures have 8 bits.
    """
    rng = np.random.default_rng(0)
    samples = [
        numbers.ravel()[rng.integers(0, numbers.size, min(numbers.size, _SAMPLED))]
        for numbers in pictures
        if numbers.dtype not in (np.uint8, bool)
    ]
    if not samples:
        return None
    together = np.concatenate(samples)
    if together.dtype == np.uint16 and not is_narrow(together):
        return "full"
    found = own_stretch(together)
    return None if found is None else str(found)
