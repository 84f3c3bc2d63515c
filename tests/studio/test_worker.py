"""The worker tunes as its job says; what is wrong lies in a file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prompttune.studio import worker
from prompttune.studio.worker import IMAGE, JOB, KEY, MASK, PROBLEM, RUN
from prompttune.utils.errors import InputError
from prompttune.workflows import tune as workflow

CONTENT = {"classes": ["a"], "backbone": "small", "device": "cpu", "values": {"max_steps": 3}}
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import os, time
from prompttune.studio.worker import end_with
end_with(os.getppid())
time.sleep(300)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / JOB).write_text(json.dumps(CONTENT))
    for number in (1, 0):
        (tmp_path / f"{number:03}.{IMAGE}").write_bytes(bytes([number]))
        np.save(tmp_path / f"{number:03}.{MASK}", np.full((2, 2), number, np.uint8))
    return tmp_path


def test_images_and_masks_go_in_and_a_key_comes_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, saved = {}, []

    def tune(pairs: list, **given: object) -> SimpleNamespace:
        seen.update(given, pairs=pairs)
        return SimpleNamespace(save=lambda path, overwrite: saved.append(path))

    monkeypatch.setattr(workflow, "tune", tune)
    assert worker.main(folder) == 0
    assert [image for image, _ in seen["pairs"]] == [b"\x00", b"\x01"]
    assert [int(mask.max()) for _, mask in seen["pairs"]] == [0, 1]
    assert (seen["output"], seen["resume"], seen["max_steps"]) == (folder / RUN, True, 3)
    assert saved == [folder / KEY / "tuned"]


def test_bad_input_is_left_for_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tune(*_: object, **__: object) -> None:
        raise InputError("no class is shown")

    monkeypatch.setattr(workflow, "tune", tune)
    assert worker.main(folder) == 2
    assert (folder / PROBLEM).read_text() == "no class is shown"


def lives(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
def test_a_worker_ends_with_its_server() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1)
    assert lives(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    ends = time.monotonic() + 30
    while lives(child) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not lives(child)
