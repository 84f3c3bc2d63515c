"""What all commands share: names of options that changed, errors, and quoted command lines."""

import gc
import subprocess
import sys

import pytest

from prompttune.cli import compare, evaluate, predict_options
from prompttune.cli.commandline import Parser, quote_command, rows_now, uncollected
from prompttune.utils.errors import LOG, InputError, forget_warnings


@pytest.mark.parametrize("words", [["--old", "3"], ["--old=3"], ["--new", "3"]])
def test_an_option_is_taken_by_its_old_name_with_a_warning(
    words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    forget_warnings()
    parser = Parser(prog="x")
    parser.renamed = {"--old": "--new"}
    parser.add_argument("--new", type=int)
    with caplog.at_level("WARNING", LOG.name):
        assert parser.parse_args(words).new == 3
    assert ("--old is called --new now" in caplog.text) == words[0].startswith("--old")


@pytest.mark.parametrize("words", [["--mask_kind", "grey"], ["--mask_kind=grey"]])
def test_a_value_is_taken_by_its_old_name_with_a_warning(
    words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    parser = Parser(prog="x")
    parser.add_argument("--mask_kind", choices=("gray", "alpha"))
    parser.add_argument("names", nargs="*")
    with caplog.at_level("WARNING", LOG.name):
        assert parser.parse_args([*words, "grey"]).__dict__ == {
            "mask_kind": "gray", "names": ["grey"],
        }  # fmt: skip
    assert "--mask_kind grey is called gray now" in caplog.text


def test_words_behind_two_dashes_are_no_options() -> None:
    parser = Parser(prog="x")
    parser.renamed = {"--old": "--new"}
    parser.add_argument("files", nargs="*")
    assert parser.parse_args(["--", "--old"]).files == ["--old"]


@pytest.mark.parametrize("command", [compare, evaluate, predict_options])
def test_renamed_options_exist_and_old_ones_are_gone(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.parse(["--help"])  # type: ignore[attr-defined]
    text = capsys.readouterr().out
    for old, new in command.RENAMED.items():  # type: ignore[attr-defined]
        assert new in text
        assert f"{old} " not in text


def test_a_wrong_option_is_one_line() -> None:
    with pytest.raises(InputError, match=r"unrecognized arguments: --nothing \(see --help\)"):
        Parser(prog="x").parse_args(["--nothing"])


def test_a_quoted_command_holds_no_folders_of_this_machine() -> None:
    line = quote_command("prompttune.fit", ["--data", "/home/me/my data", "--output=/tmp/x", "a/b"])
    assert line == "python -m prompttune.fit --data 'my data' --output=x a/b"


def test_rows_by_their_older_names(caplog: pytest.LogCaptureFixture) -> None:
    assert rows_now(None) is None
    assert rows_now(["tuned"]) == ["tuned"]
    assert not caplog.records
    assert rows_now(["nearest-colour", "tuned"]) == ["nearest-color", "tuned"]
    assert "is called nearest-color now" in caplog.text


CODE = """
import gc
from prompttune.cli.commandline import uncollected
try:
    with uncollected():
        inside = gc.isenabled()
        kept = [[] for _ in range(1000)]
        raise ValueError
except ValueError:
    print(inside, gc.isenabled(), gc.get_freeze_count() >= 1000)
"""


def test_the_collector_rests_and_works_again() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "False True True\n"


def test_a_program_that_has_it_all_is_left_alone() -> None:
    import torch  # noqa: F401

    frozen = gc.get_freeze_count()
    with uncollected():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
