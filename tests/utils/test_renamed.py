"""Names of version 0.1: what takes them, what it tells, and who is told."""

import warnings
from dataclasses import dataclass, fields, replace

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.renamed import names_of_today, takes_old_names


@takes_old_names(colour="color")
@dataclass(frozen=True)
class Brush:
    color: str
    width: int = 1


@takes_old_names(colour="color")
def paint(color: str, times: int = 1) -> str:
    """Paint."""
    return color * times


def test_names_of_today_are_taken_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Brush("red").color == Brush(color="red").color == "red"
        assert paint("a", times=2) == "aa"
    assert [field.name for field in fields(Brush)] == ["color", "width"]
    assert (paint.__name__, paint.__doc__) == ("paint", "Paint.")


def test_each_use_of_an_old_name_is_told_once_and_to_who_uses_it() -> None:
    uses = {
        "Brush": lambda: Brush(colour="red").color,
        "Brush.colour": lambda: Brush("red").colour,
        "paint": lambda: paint(colour="red"),
        "replace": lambda: replace(Brush("blue"), colour="red").color,
    }
    for name, use in uses.items():
        with pytest.warns(DeprecationWarning, match="colour is called color now") as told:
            assert use() == "red"
        owner = "paint" if name == "paint" else "Brush"
        said = f"{owner}: colour is called color now; the next version forgets colour"
        assert [str(each.message) for each in told] == [said]
        assert name == "replace" or told[0].filename == __file__


def test_a_value_under_both_names_is_refused() -> None:
    with pytest.raises(InputError, match="colour is the old name of color; give one of the two"):
        names_of_today({"colour": "red", "color": "red"}, {"colour": "color"})
    with pytest.raises(TypeError, match="multiple values"), pytest.warns(match="colour"):
        paint("red", colour="red")


def test_order_and_other_names_stay() -> None:
    values = {"b": 1, "colour": 2, "a": 3}
    assert list(names_of_today(values, {"colour": "color"})) == ["b", "color", "a"]
