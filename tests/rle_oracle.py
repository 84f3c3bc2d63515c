"""COCO's run lengths, written slowly."""

import numpy as np


def slow_counts(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, the first of zeros."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


def slow_text(counts: list[int]) -> str:
    """Write run lengths as COCO's text: base 32 with a sign, differences from the fourth on."""
    text = ""
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
    return text
