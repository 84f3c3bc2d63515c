"""The order of a companion's weights."""

import math

from prompttune.companion.shapes import convolutions, weight_count, weight_shapes


def test_counts_agree_with_a_sum_by_hand() -> None:
    # Two levels of 4 and 8 channels, one class: 3 -> 4 -> 4, 4 -> 8 -> 8, 12 -> 4 -> 4, 4 -> 2.
    by_hand = 9 * (3 * 4 + 4 * 4 + 4 * 8 + 8 * 8 + 12 * 4 + 4 * 4) + 4 * 2 + (4 * 4 + 2 * 8 + 2)
    assert weight_count((4, 8), 1) == by_hand
    assert sum(map(math.prod, weight_shapes((4, 8), 1))) == by_hand


def test_the_order_is_down_then_up_then_out() -> None:
    names = [name for name, _ in convolutions((4, 8, 16), 3)]
    assert names == [
        "down0.0", "down0.1", "down1.0", "down1.1", "down2.0", "down2.1",
        "up1.0", "up1.1", "up0.0", "up0.1", "out",
    ]  # fmt: skip
    assert convolutions((4, 8, 16), 3)[-1] == ("out", (4, 4, 1))


def test_one_level_goes_neither_down_nor_up() -> None:
    assert [name for name, _ in convolutions((4,), 1)] == ["down0.0", "down0.1", "out"]
