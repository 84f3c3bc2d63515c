"""The console command: it finds the command named, suggests the nearest, and completes words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prompttune import __version__
from prompttune.cli import main as cli
from prompttune.cli.commandline import COMPLETING


def call(capsys: pytest.CaptureFixture, *words: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return int(ended.value.code or 0), *capsys.readouterr()


@pytest.mark.parametrize("name", [*cli.COMMANDS, *cli.ALIASES])
def test_every_command_answers_to_its_name(name: str, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = call(capsys, name, "--help")
    assert code == 0
    assert out.startswith(f"usage: prompttune {cli.ALIASES.get(name, name)}")


def test_version_and_help(capsys: pytest.CaptureFixture) -> None:
    assert call(capsys, "--version")[:2] == (0, f"prompttune {__version__}\n")
    code, out, _ = call(capsys)
    assert code == 0
    assert all(name in out for name in cli.COMMANDS)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["predcit"], "unknown command 'predcit'. Did you mean 'predict'?"),
        (["xyz"], "There are: backbone, benchmark, compare"),
        (["--versoin"], "unrecognized arguments: --versoin"),
        (["tune", "--task", "retinna"], "prompttune tune: error: unknown task 'retinna'."),
        (["zoo", "show", "nobody"], "prompttune zoo: error: no key 'nobody'"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture
) -> None:
    code, _, error = call(capsys, *words)
    assert code == 2
    assert complaint in error
    assert error.startswith("prompttune")
    assert error.count("\n") == 1


def test_python_m_is_the_same_command() -> None:
    command = [sys.executable, "-m", "prompttune", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("prompttune ")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, prompttune.cli.main as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'lightning', 'argcomplete'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("prompttune pre", {"predict", "pretrain"}),
        ("prompttune predict --ex", {"--example"}),
        ("prompttune tune --max_s", {"--max_steps"}),
        ("prompttune ins", {"inspect"}),
        ("prompttune inspect --mask_k", {"--mask_kind"}),
        ("prompttune fit --min_c", {"--min_canvas"}),
        ("prompttune zoo ", {"list", "show", "verify", "remove", "gallery"}),
        ("prompttune zoo list --prom", {"--prompts_zoo"}),
    ],
)
def test_a_shell_gets_completions(line: str, words: set[str], tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    asked = {
        COMPLETING: "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SHELL": "bash",
    }  # fmt: skip
    command = [sys.executable, "-m", "prompttune"]
    subprocess.run(command, env=os.environ | asked, capture_output=True, text=True)
    assert words <= {word.strip() for word in answer.read_text().split("\n")}


def test_the_script_for_a_shell_is_printed(capsys: pytest.CaptureFixture) -> None:
    code, out, _ = call(capsys, "--completion", "bash")
    assert code == 0
    assert "complete" in out
    assert "prompttune" in out
