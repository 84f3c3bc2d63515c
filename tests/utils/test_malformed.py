"""What a malformed file raises becomes one line; what is wrong elsewhere does not."""

import json
import zlib
from pathlib import Path

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import reason, understood


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
