"""Center lines: those of scikit-image, however the mask falls into parts."""

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from prompttune.evaluation import skeletons
from prompttune.evaluation.skeletons import skeleton


def blots(seed: int, grain: float, least: float = 0.5) -> np.ndarray:
    """Return smooth noise above a level: parts of all shapes, some at the borders."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 150, 2)
    noise = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), grain)
    return np.asarray(noise > np.quantile(noise, least))


@pytest.mark.parametrize("grain", [0.4, 1, 3, 10])
@pytest.mark.parametrize("large", [1, 30, 1024])
def test_lines_are_those_of_scikit_image(
    grain: float, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skeletons, "LARGE", large)
    for seed in range(10):
        mask = blots(seed, grain, 0.3 + 0.05 * seed)
        np.testing.assert_array_equal(skeleton(mask), skeletonize(mask))


def test_parts_in_one_anothers_boxes_stay_apart() -> None:
    mask = np.zeros((120, 120), np.uint8)
    cv2.rectangle(mask, (10, 10), (110, 110), 1, 12)
    cv2.circle(mask, (60, 60), 25, 1, -1)
    cv2.line(mask, (30, 30), (38, 30), 1, 1)
    lines = skeleton(mask.astype(bool))
    np.testing.assert_array_equal(lines, skeletonize(mask.astype(bool)))
    assert lines[25:35, 25:45].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (40, 60)])
def test_nothing_and_everything(shape: tuple[int, int]) -> None:
    assert not skeleton(np.zeros(shape, bool)).any()
    everything = np.ones(shape, bool)
    np.testing.assert_array_equal(skeleton(everything), skeletonize(everything))


def test_the_mask_stays_as_it_was() -> None:
    mask = blots(3, 5)
    before = mask.copy()
    skeleton(mask)
    np.testing.assert_array_equal(mask, before)
