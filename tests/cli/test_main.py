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


def test_no_help_loads_anything_heavy() -> None:
    code = (
        "import sys, prompttune.cli.main as cli\n"
        "for words in ([], *([name] for name in cli.COMMANDS)):\n"
        "    try: cli.main([*words, '--help'])\n"
        "    except SystemExit: pass\n"
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
        ("prompttune tune --task re", {"retina"}),
        ("prompttune tune --task retina --learn ", {"both", "colors"}),
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


CODE = """
import atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from prompttune.cli.main import leave

class Told:
    def __del__(self):
        print("taken apart")

held = Told()
held.itself = held
atexit.register(print, "handler")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
pool = ThreadPoolExecutor(1)
pool.submit(lambda: (time.sleep(0.1), print("task")))
sys.stdout.write("said ")
leave({code})
"""


def ended(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE.replace("{code}", code)]
    return subprocess.run(command, capture_output=True, text=True)


def test_threads_handlers_and_streams_end_as_ever() -> None:
    done = ended("0")
    assert done.stdout.startswith("said ")
    words = done.stdout.removeprefix("said ").split("\n")
    assert sorted(words[:2]) == ["task", "thread"]
    assert words[2:] == ["handler", ""]  # what is held is not taken apart


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [("None", 0, ""), ("0", 0, ""), ("2", 2, ""), ("True", 1, ""), ("'bad'", 1, "bad\n")],
)
def test_codes_are_those_of_python(code: str, status: int, said: str) -> None:
    done = ended(code)
    assert (done.returncode, done.stderr) == (status, said)
    pythons = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.exit({code})"], capture_output=True, text=True
    )
    assert (pythons.returncode, pythons.stderr) == (status, said)


def test_a_command_ends_so() -> None:
    for words, status in ((["--version"], 0), (["predcit"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "prompttune", *words], capture_output=True, text=True
        )
        assert done.returncode == status
        assert len((done.stdout + done.stderr).splitlines()) == 1
