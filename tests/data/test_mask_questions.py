"""What -1 and 255 mean is asked where it cannot be known."""

import numpy as np
import pytest

from prompttune.data.mask_facts import look_at
from prompttune.data.mask_forms import AUTO, stored_of_array
from prompttune.data.mask_questions import how_to_invert
from prompttune.data.mask_survey import describe_masks, settle
from prompttune.data.masks import class_map_of
from prompttune.utils.errors import InputError

THINGS = np.zeros((40, 60), np.uint8)
THINGS[10:20, 15:30] = 1
THINGS[25:35, 40:55] = 2


def read(values: list[int], classes: int, dtype: type = np.int8) -> np.ndarray:
    stored = stored_of_array(np.array(values, dtype)[THINGS], AUTO, "a.tif")
    meaning = settle([look_at(stored, "a.tif")], classes, AUTO)
    return class_map_of(stored, classes, meaning, "a.tif")


@pytest.mark.parametrize("thing", [1, 100])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_minus_one_without_zero_is_the_background(thing: int, dtype: type) -> None:
    np.testing.assert_array_equal(read([-1, thing, thing], 1, dtype), THINGS > 0)
    facts = [look_at(stored_of_array(np.array([[-1, thing]], dtype), AUTO, "a"), "a")]
    assert "-1 = background" in describe_masks(facts, ["a"], settle(facts, 1, AUTO))


def test_minus_one_beside_zero_and_one_is_not_counted() -> None:
    np.testing.assert_array_equal(read([0, 1, -1], 1), np.array([0, 1, 255])[THINGS])


@pytest.mark.parametrize(
    ("values", "classes", "dtype", "says"),
    [
        ([0, -1, -1], 1, np.int8, r"'\{-1: 1, 0: 0\}' if -1 is the class.*'\{-1: 0, 0: 1\}'"),
        ([-1, 1, 2], 2, np.int8, r"'\{-1: 0, 1: 1, 2: 2\}'.*'\{-1: 255, 1: 1, 2: 2\}'"),
        ([-1, 0, 1], 2, np.int16, r"'\{-1: 0, 0: 1, 1: 2\}'.*'\{-1: 255, 0: 0, 1: 1\}'"),
        ([255, 1, 2], 2, np.uint8, r"'\{255: 0, 1: 1, 2: 2\}'.*'\{255: 255, 1: 1, 2: 2\}'"),
    ],
)
def test_others_are_asked_about(values: list[int], classes: int, dtype: type, says: str) -> None:
    with pytest.raises(InputError, match=rf"a\.tif.*{says}"):
        read(values, classes, dtype)


def test_the_hint_names_the_values_that_are_there() -> None:
    def hint(*values: int) -> str:
        stored = stored_of_array(np.array([values], np.uint8), AUTO, "a")
        return how_to_invert([look_at(stored, "a")], ["a"])

    assert hint(0, 1) == "--mask_values '{0: 1, 1: 0}'"
    assert hint(0, 255) == "--mask_values '{0: 1, 255: 0}'"
    assert "says what each value means" in hint(0, 1, 2)
