"""What a key's validation images taught of its scores: when they are right, and how often."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prompttune.reliability.curve import Curve


@dataclass(frozen=True)
class Calibration:
    """Turns the scores of one prompt, or of the groups of one key, into probabilities.

    The curves are fitted over all pixels, whatever was decided of them, so they hold for any
    threshold.
    """

    foreground: Curve
    """From the sum of a pixel's class scores (of groups: the largest of their sums) to the
    probability that the pixel shows any class."""
    classes: Curve
    """From the score of one class to the probability that the pixel shows it."""
    dice: tuple[float, float]
    """Offset and slope, from an answer's mean probability over what was found to its Dice."""
    crops: int = 1
    """Of validation images, that it was fitted on."""
    held_out: bool = True
    """Whether these images were not among those that the key was tuned on."""

    def confidence(
        self, scores: np.ndarray, class_map: np.ndarray, groups: Sequence[int]
    ) -> np.ndarray:
        """Return the probability that each pixel's class is right.

        Args:
            scores: `C x H x W float32` in [0, 1].
            class_map: `H x W uint8`, what was decided.
            groups: the number of classes of each of the prompts, which sum to C.

        Returns:
            `H x W float32` in [0, 1].
        """
        background = 1 - self.foreground(foreground_scores(scores, groups))
        return np.where(class_map == 0, background, self._found(scores, class_map))

    def _found(self, scores: np.ndarray, class_map: np.ndarray) -> np.ndarray:
        index = np.maximum(class_map.astype(np.int64) - 1, 0)
        return self.classes(np.take_along_axis(scores, index[None], 0)[0])

    def expected_dice(self, scores: np.ndarray, class_map: np.ndarray) -> float | None:
        """Return the Dice that an answer can be expected to have, in [0, 1].

        None where nothing was found: Dice then tells only whether there was nothing to find.
        """
        certainty = self.certainty(scores, class_map)
        if certainty is None:
            return None
        offset, slope = self.dice
        return min(1.0, max(0.0, offset + slope * certainty))

    def certainty(self, scores: np.ndarray, class_map: np.ndarray) -> float | None:
        """Return the mean probability over what was found, of several classes the mean of theirs.

        Of all that was tried (expected overlap, stability under the threshold, entropy, pieces an
        area), this went best with the true Dice.
        """
        if not class_map.any():
            return None
        found = self._found(scores, class_map)
        shown = np.unique(class_map[class_map > 0])
        return math.fsum(float(found[class_map == index].mean()) for index in shown) / len(shown)


@dataclass(frozen=True)
class Zoomed:
    """What holds where an answer is the mean over several zooms: its scores are softer."""

    threshold: float
    """In place of the prompt's own."""
    calibration: Calibration


def foreground_scores(scores: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Return what is set against the threshold, `H x W`: of groups the largest of their sums.

    Args:
        scores: `C x H x W` in [0, 1].
        groups: the number of classes of each prompt, which sum to C.
    """
    starts = np.cumsum((0, *groups[:-1]))
    return np.add.reduceat(scores, starts, axis=0).max(0)
