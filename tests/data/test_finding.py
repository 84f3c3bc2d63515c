"""What the user says of how files belong together."""

from pathlib import Path

import pytest

from prompttune.data.finding import Finding
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError


def sample(name: str) -> Sample:
    return Sample(name, Path(f"{name}.png"), Path(f"{name}_mask.png"))


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [(r"^\d+", ["12", "12", "7", "odd"]), (r"^(\d+)_.", ["12", "12", "7", "odd"]),
     (r"_(.)", ["a", "b", "a", "odd"])],
)  # fmt: skip
def test_names_are_grouped_by_what_matches(pattern: str, groups: list[str]) -> None:
    group = Finding(group_by=pattern).grouping()
    assert group is not None
    assert [group(sample(name)) for name in ("12_a", "12_b", "7_a", "odd")] == groups


def test_nothing_said_and_what_is_no_expression() -> None:
    assert Finding().grouping() is None
    with pytest.raises(InputError, match=r"--group_by '\(': "):
        Finding(group_by="(").grouping()
