"""Lightning is quiet within, and itself again afterwards."""

import logging
import warnings

import pytest

from prompttune.utils.lightning import quiet


def test_it_is_silent_within_alone() -> None:
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    with quiet():
        assert logger.level == logging.ERROR
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    assert logger.level == before


def test_other_warnings_are_heard() -> None:
    with pytest.warns(UserWarning, match="mine"), quiet():
        warnings.warn("mine", UserWarning, stacklevel=1)
