"""Contours are the edges of what is there."""

import numpy as np

from prompttune.synthetic.lines import contours


def test_contours_are_the_edges_of_what_is_there() -> None:
    classes = np.zeros((40, 40), np.uint16)
    classes[10:30, 10:30] = 300
    edges = contours(classes, 3)
    assert edges.dtype == np.uint16
    assert set(np.unique(edges)) == {0, 300}
    assert edges[10, 15] == edges[9, 15] == 300
    assert not edges[20, 20]
    assert not edges[:8].any()
