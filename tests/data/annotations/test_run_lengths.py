"""Run lengths, plain and compressed."""

import cv2
import numpy as np
import pytest
from rle_oracle import slow_counts, slow_text

from prompttune.data.annotations.outlines import Runs
from prompttune.data.annotations.run_lengths import decode_counts, decode_runs


@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_are_read_in_both_forms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.random((5, 7)), (150, 100)) > 0.3 + 0.1 * seed
    counts = slow_counts(mask)
    for form in (counts, slow_text(counts), slow_text(counts).encode()):
        assert np.array_equal(decode_runs(form, mask.shape), mask)
    for form in (counts, slow_text(counts)):
        painted = np.zeros(mask.shape, np.uint8)
        Runs((100, 150), form).paint(painted, 255)
        assert np.array_equal(painted, mask * np.uint8(255))
        assert Runs((100, 150), form).area() == mask.sum()


def test_text_as_the_format_has_it() -> None:
    """Worked out by hand: 6 is '6'; 40 is 8 + 32, so 'X' and '1'; then 1; then 4 - 40 = -36."""
    assert decode_counts("6X11lN") == [6, 40, 1, 4]


@pytest.mark.parametrize("counts", [[3, 4], [-1, 7], [], "6X", "é"])
def test_run_lengths_that_do_not_fit_are_refused(counts) -> None:
    with pytest.raises(ValueError, match=r"run lengths|ascii"):
        decode_runs(counts, (2, 3))
