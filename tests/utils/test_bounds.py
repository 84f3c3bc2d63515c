"""No number that is given from outside asks for what no machine can do, alone or with others."""

import math

import numpy as np
import pytest

from prompttune.utils import bounds
from prompttune.utils.bounds import BOUNDS, check, check_canvas, check_image, check_prompt
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("name", BOUNDS)
def test_a_bound_holds_at_its_ends_and_not_beyond(name: str) -> None:
    bound = BOUNDS[name]
    step = 1 if bound.whole else (bound.most - bound.least) / 1000
    least = bound.least + step if bound.above else bound.least
    inside = (int(least), int(bound.most)) if bound.whole else (least, bound.most)
    assert all(bound.holds(value) for value in inside)
    beyond = (bound.least - step, bound.most + step, math.nan, math.inf, -math.inf, True, "1", None)
    for value in beyond:
        with pytest.raises(InputError) as caught:
            check(name, value, "--this")
        text = str(caught.value)
        assert text.startswith("--this ")
        assert f"must be {bound}; {bound.remedy}" in text
        assert "\n" not in text


def test_numbers_of_other_libraries_are_numbers() -> None:
    check("scale", np.float32(0.5))
    check("prompts", np.int64(3))
    with pytest.raises(InputError, match=r"scale 1e\+09: must be 0.0001 to 64; it is canvas"):
        check("scale", np.float64(1e9))
    with pytest.raises(InputError, match=r"prompts 2\.5: must be a whole number 1 to 64"):
        check("prompts", 2.5)
    with pytest.raises(InputError) as caught:
        check("prompts", "9" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_canvas_is_bounded_by_its_tokens() -> None:
    check_canvas(512, 8, "small")
    check_canvas(1024, 16, "large")
    with pytest.raises(InputError, match=r"canvas 1024 has 32768 tokens .* at most 512"):
        check_canvas(1024, 8, "small")
    with pytest.raises(InputError, match="canvas 8192: must be"):
        check_canvas(8192, 256, "small")


def test_products_are_bounded() -> None:
    check_prompt("a", 64, 512)
    with pytest.raises(InputError, match="prompt a: 64 images on a canvas of 1024"):
        check_prompt("a", 64, 1024)
    bounds.check_step(256, 8, 128, 8)
    with pytest.raises(InputError, match="tokens a step"):
        bounds.check_step(65536, 64, 128, 8)
    fine = {"pixels": 100_000_000, "scaled": 100_000_000, "classes": 1, "work": 2**33}
    check_image("a", **fine)
    for wrong, words in (
        ({"scaled": 2**28}, "at its scale the image has 268435456 pixels"),
        ({"classes": 150}, "150 classes at 200000000 pixels"),
        ({"work": 2**37}, "pixels of work"),
    ):
        with pytest.raises(InputError, match=words):
            check_image("a", **(fine | wrong))
