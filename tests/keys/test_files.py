"""Names of keys: whatever is accepted is one plain folder name; all else is refused."""

import random
import string
from pathlib import Path

import pytest

from prompttune.keys.files import check_name, is_name, key_file
from prompttune.utils.errors import InputError

ALLOWED = set(string.ascii_lowercase + string.digits + "._-")


@pytest.mark.parametrize("name", ["retina", "0", "a" * 64, "a..b", "drive-2.1_x", "con-", "9."])
def test_accepts(name: str) -> None:
    check_name(name)


BAD = ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "~", ".hidden", "-flag", "_x", "Retina", "a b"]
BAD += ["a\n", "\na", "a\0", "é", "\u0663", "a" * 65, "a/../b", "c:d", "a*", "retina\u200b"]


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a key") as caught:
        check_name(name)
    assert str(caught.value).isprintable()


def test_random_text_against_the_rule_said_in_words(tmp_path: Path) -> None:
    source = random.Random(0)
    alphabet = "abz09._-" * 3 + "/\\ \n\0A~é:"
    accepted = 0
    for _ in range(20_000):
        name = "".join(source.choices(alphabet, k=source.choice([0, 1, 2, 3, 5, 63, 64, 65])))
        plain = set(name) <= ALLOWED and 1 <= len(name) <= 64 and name[0] not in "._-"
        assert is_name(name) == plain
        if plain:
            accepted += 1
            assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert accepted > 1000


def test_key_file_takes_folder_or_file(key: Path) -> None:
    assert key_file(key) == key_file(str(key / "prompt.safetensors")) == key / "prompt.safetensors"


def test_key_file_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prompt\.safetensors in this folder"):
        key_file(tmp_path)
    with pytest.raises(InputError, match="there is no such file"):
        key_file(tmp_path / "x.safetensors")
