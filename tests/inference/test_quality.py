"""How much work an answer may take."""

import pytest

from prompttune.inference.quality import BEST, FAST, QUALITIES, Quality
from prompttune.utils.errors import InputError


def test_best_asks_more_often_than_fast() -> None:
    assert QUALITIES == {"fast": FAST, "best": BEST}
    work = [sum(zoom**2 for zoom in each.zooms) * (4 if each.flips else 1) for each in (FAST, BEST)]
    assert work[0] < work[1] < 10  # ten times the time is more than anyone waits for
    assert 1.0 in BEST.zooms  # at which the key compares the image with its own


def test_usual_zooms_pass() -> None:
    assert Quality(zooms=(4,)).zooms == (4,)
    assert Quality().as_arguments() == {"overlap": 0.25, "flips": False, "zooms": (1.0,)}


@pytest.mark.parametrize("zooms", [(), (0.0,), (1.0, -1.0), (1.0, 4.1), (float("nan"),)])
def test_zooms_have_bounds(zooms: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="zoom"):
        Quality(zooms=zooms)


@pytest.mark.parametrize("overlap", [-0.1, 0.95, float("nan")])
def test_overlaps_have_bounds(overlap: float) -> None:
    with pytest.raises(InputError, match="overlap"):
        Quality(overlap)
