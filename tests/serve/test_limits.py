"""Bounds are above 0; a refusal has its status and its headers."""

import pytest

from prompttune.serve.limits import Limits, Refused
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("name", ["bytes", "pixels", "queue", "seconds", "examples"])
def test_a_bound_is_above_zero(name: str) -> None:
    with pytest.raises(InputError, match=f"limit of {name}: must be above 0, not -1"):
        Limits(**{name: -1})


def test_a_refusal_is_a_sentence_with_a_status() -> None:
    refused = Refused(429, "Try again.", {"retry-after": "3"})
    assert (str(refused), refused.status, refused.headers["retry-after"]) == (
        "Try again.",
        429,
        "3",
    )
    assert Refused(404, "None.").headers == {}
