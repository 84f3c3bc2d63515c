"""Children that run a command of this package, and are killed while they do."""

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

PATIENCE = 900.0
"""Seconds that a command may take, or a process that lost another may live on."""
TICK = 0.002
KILLED = -signal.SIGKILL
_DIE_WITH_PARENT = 1
"""Linux' PR_SET_PDEATHSIG."""
_WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
"""Audit events of Python that change files."""


@dataclass(frozen=True)
class Ended:
    """What became of a child."""

    code: int
    """Its exit code, or the number of the signal below 0."""
    said: str
    """All that it printed."""
    seconds: float
    operations: int = 0
    """On files, as they were counted."""
    left: tuple[str, ...] = ()
    """Processes that it left behind."""

    @property
    def is_one_line(self) -> bool:
        """Whether it refused: code 2, and no traceback."""
        return self.code == 2 and "Traceback" not in self.said and "error: " in self.said


def command(*words: object) -> Callable[[], None]:
    """Return what runs `prompttune WORDS` in this process, and exits."""
    from prompttune.cli.main import main

    return lambda: main([str(word) for word in words])


def run(
    work: Callable[[], None],
    folder: Path,
    after: float | None = None,
    at_operation: int | None = None,
    before: Callable[[], None] | None = None,
) -> Ended:
    """Run something in a forked child, in a folder, and wait for its end.

    Args:
        work: what the child does; its end is the child's.
        folder: in which it does it; changes of files below are counted.
        after: seconds after which the child is killed.
        at_operation: the number of the change of files before which it kills itself, from 1.
        before: is called in the child first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, count = folder.with_name(f"{folder.name}.log"), folder.with_name(f"{folder.name}.count")
    began = time.monotonic()
    log.write_text("")  # it may be killed before it has one
    child = start(work, folder, log, at_operation, count, before)
    status = _waited(child, began, PATIENCE if after is None else after)
    seconds = time.monotonic() - began
    left = survivors(child)
    operations = len(count.read_bytes()) if count.exists() else 0
    count.unlink(missing_ok=True)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, log.read_text(errors="replace"), seconds, operations, left)


def start(
    work: Callable[[], None],
    folder: Path,
    log: Path,
    at_operation: int | None = None,
    count: Path | None = None,
    before: Callable[[], None] | None = None,
) -> int:
    """Fork a child in a session of its own; return its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        counted = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if count else None
        os.chdir(folder)
        if before:
            before()
        if counted is not None:
            _watch_files(str(folder.absolute()), counted, at_operation)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch_files(folder: str, counted: int, last: int | None) -> None:
    """Count what changes files below a folder; before the last one die."""
    done, me = 0, os.getpid()

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal done
        if event not in _WRITES or os.getpid() != me:
            return
        writes = event != "open" or (len(args) > 2 and isinstance(args[2], int) and args[2] & 3)
        if not writes or not isinstance(args[0], str | bytes | os.PathLike):
            return
        if not os.path.abspath(os.fsdecode(args[0])).startswith(folder):
            return
        done += 1
        if done == last:
            os.kill(me, signal.SIGKILL)
        os.write(counted, b".")

    sys.addaudithook(hook)


def _waited(child: int, began: float, seconds: float) -> int:
    """Wait for a child, and kill it when its time is over."""
    while time.monotonic() - began < seconds:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(TICK)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def survivors(session: int, seconds: float = 15.0) -> tuple[str, ...]:
    """Return what of a session is still there after some seconds, and end it."""
    ends = time.monotonic() + seconds
    while (alive := _session(session)) and time.monotonic() < ends:
        time.sleep(0.05)
    names = []
    for process in alive:
        names.append(" ".join(process.cmdline())[:80])
        process.kill()
    return tuple(names)


def _session(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found
