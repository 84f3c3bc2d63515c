"""Lengths of center lines."""

import numpy as np
import pytest

from prompttune.outputs.lengths import center_line_length


def test_lengths() -> None:
    line = np.zeros((30, 50), bool)
    line[14:17, 5:45] = True
    assert center_line_length(line) == pytest.approx(38, abs=3)
    assert center_line_length(line, (0.5, 1)) == pytest.approx(19, abs=3)
    slanted = np.eye(40, dtype=bool)
    assert center_line_length(slanted) == pytest.approx(39 * 2**0.5, abs=3)
    corner = np.zeros((20, 20), bool)
    corner[5, 5:15] = corner[5:15, 5] = True
    assert center_line_length(corner) == pytest.approx(18, abs=2)
    assert center_line_length(np.zeros((5, 5), bool)) == 0
