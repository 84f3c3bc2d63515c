"""One run in one folder, and none that a dead one holds."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prompttune.utils import locking
from prompttune.utils.errors import InputError
from prompttune.utils.io import temporary_for
from prompttune.utils.locking import alone_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders there")


def test_another_run_is_refused_while_one_is_at_work(tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"):
        with (
            pytest.raises(InputError, match="another run is writing here"),
            alone_in(tmp_path / "out", patience=0),
        ):
            pass
        with alone_in(tmp_path / "other", patience=0):
            pass
    with alone_in(tmp_path / "out", patience=0):
        pass


def _hold(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with alone_in(folder):
        os.fork()  # such as a loader's worker, which lives on a little
        ready.set()
        signal.pause()


def test_a_killed_run_leaves_no_lock_even_where_its_helpers_live_on(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    child = fork.Process(target=_hold, args=(tmp_path, ready))
    child.start()
    assert ready.wait(60)
    helpers = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    with pytest.raises(InputError, match="another run"), alone_in(tmp_path, patience=0):
        pass
    child.kill()
    child.join()
    with alone_in(tmp_path, patience=0):
        pass
    assert helpers
    for each in helpers:
        os.kill(int(each), signal.SIGKILL)


def test_what_killed_runs_left_goes_and_an_empty_folder_too(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "out").mkdir()
    mine = temporary_for(tmp_path / "out" / "a.png")
    half = mine.with_name(mine.name.replace(f".{os.getpid()}-", f".{dead.pid}-"))
    half.write_text("half")
    with alone_in(tmp_path / "out"):
        assert not half.exists()
    with alone_in(tmp_path / "new" / "below"):
        assert (tmp_path / "new" / "below").is_dir()
    assert not (tmp_path / "new" / "below").exists()
    assert (tmp_path / "out").is_dir()
    assert not locking._held
