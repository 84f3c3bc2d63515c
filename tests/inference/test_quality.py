"""How much work an answer may take."""

import pytest

from prompttune.inference.quality import BEST, FAST, QUALITIES, check_zooms
from prompttune.utils.errors import InputError


def test_best_asks_more_often_than_fast() -> None:
    assert QUALITIES == {"fast": FAST, "best": BEST}
    work = [sum(zoom**2 for zoom in each.zooms) * (4 if each.flips else 1) for each in (FAST, BEST)]
    assert work[0] < work[1] < 10  # ten times the time is more than anyone waits for
    assert 1.0 in BEST.zooms  # at which the key compares the image with its own


def test_usual_zooms_pass() -> None:
    for each in QUALITIES.values():
        check_zooms(each.zooms)
    check_zooms([4])


@pytest.mark.parametrize("zooms", [(), (0.0,), (1.0, -1.0), (1.0, 4.1), (float("nan"),)])
def test_zooms_have_bounds(zooms: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="zoom"):
        check_zooms(zooms)
