"""From an answer's certainty to the Dice that it can be expected to have."""

from collections.abc import Sequence

import numpy as np

SLOPE, SLOPE_SD = 1.0, 0.5
"""What is believed of the slope before any image is seen: few images hardly move it."""


def fit_line(
    certainties: Sequence[float], dices: Sequence[float], weights: Sequence[float]
) -> tuple[float, float]:
    """Fit offset and slope from certainty to Dice, weighted, the slope drawn towards 1.

    Args:
        certainties: one an answer, as `Calibration.certainty` gives them.
        dices: as many, the true values.
        weights: as many, at least 0: how much each counts.

    Returns:
        Offset and slope; (0, 1) where no answer counts.
    """
    x, y, w = (np.asarray(each, float) for each in (certainties, dices, weights))
    if not w.sum() > 0:
        return 0.0, SLOPE
    w = w / w.sum()
    mean_x, mean_y = w @ x, w @ y
    spread, together = w @ (x - mean_x) ** 2, w @ ((x - mean_x) * (y - mean_y))
    noise = w @ (y - mean_y - SLOPE * (x - mean_x)) ** 2 / max(1, len(x) - 1)
    prior = noise / SLOPE_SD**2
    slope = (together + prior * SLOPE) / (spread + prior) if spread + prior > 0 else SLOPE
    return round(float(mean_y - slope * mean_x), 4), round(float(slope), 4)
