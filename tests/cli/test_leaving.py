"""The end of a command's process: nothing is lost, and the code is what Python would give."""

import subprocess
import sys

import pytest

CODE = """
import atexit, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from prompttune.cli.leaving import leave

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
