"""YAML from others: safe, and no more of it than a person writes."""

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.plain_yaml import load_yaml


def test_plain_values_and_anchors() -> None:
    assert load_yaml("a: &x [1, 2]\nb: *x\n", "here") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: !!python/name:os.system",
        "a: 2001-99-99",
        "? [a]\n: b",
        f"a: {'9' * 5000}",
        "[" * 5000,
    ],
)
def test_what_is_no_plain_yaml(text: str) -> None:
    with pytest.raises(InputError, match=r"^here: not valid YAML"):
        load_yaml(text, "here")


def test_a_few_lines_do_not_stand_for_billions_of_values() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    for text in ("\n".join(lines), "a: &a [*a]"):
        with pytest.raises(InputError, match="stands for more than 100000 values"):
            load_yaml(text, "here")
