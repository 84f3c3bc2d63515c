"""What a malformed file raises becomes one line; what is wrong elsewhere does not."""

import json
import zlib
from pathlib import Path

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import load_yaml, reason, understood


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "TypeError"),
        ("{}", "KeyError: 'size'"),
        ('{"size": 1e999}', "OverflowError"),
        ('{"size": null}', "TypeError"),
        ('{"size": "x"}', "ValueError"),
        ("{", "JSONDecodeError"),
    ],
)
def test_kinds_that_a_format_does_not_promise(text: str, said: str) -> None:
    with (
        pytest.raises(InputError, match=r"^a.json: holds no sizes \(") as caught,
        understood("a.json", "sizes"),
    ):
        int(json.loads(text)["size"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_that_is_there_already_stays() -> None:
    with pytest.raises(InputError, match=r"^b$"), understood("a", "c"):
        raise InputError("b")


def test_a_name_that_no_file_system_takes() -> None:
    with pytest.raises(InputError, match=r"^a: File name too long"), understood("a", "list"):
        Path("x" * 5000).read_text()


def test_errors_of_libraries_are_named_by_who_reads() -> None:
    with pytest.raises(zlib.error), understood("a", "volume"):
        zlib.decompress(b"no")
    with (
        pytest.raises(InputError, match="holds no volume"),
        understood("a", "volume", (Exception,)),
    ):
        zlib.decompress(b"no")


def test_reasons_are_short() -> None:
    assert reason(ValueError("a\nb")) == "ValueError: a b"
    assert len(reason(ValueError("x" * 1000))) == 163


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
