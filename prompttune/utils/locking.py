"""One run in one folder: a lock that the kernel takes back, so that none is ever stale."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prompttune.utils.errors import InputError
from prompttune.utils.io import sweep

PATIENCE = 10.0
"""Seconds that another's lock is waited for: helpers of a run that was killed live on a little."""
_TICK = 0.05
_BUSY = (errno.EAGAIN, errno.EACCES)
_held: set[int] = set()
"""Descriptors of the locks of this process."""


@contextmanager
def alone_in(folder: Path, patience: float | None = None, clean: bool = True) -> Iterator[None]:
    """Keep other runs out of a folder as long as the block lasts.

    The folder itself is locked: no file is left behind, and a lock ends with its process, however
    that ends. Where the system knows no such locks (Windows, some network drives) there is none.
    What killed runs left half-written is removed.

    Args:
        folder: of results; it is made, and removed if it is still empty at the end.
        patience: seconds to wait for another run to leave it; None: a few.
        clean: remove what killed runs left there.

    Raises:
        InputError: another run is at work in it.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder, PATIENCE if patience is None else patience):
            if clean:
                sweep(folder)
            yield
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def held(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Lock a folder as long as the block lasts, and `is_left` says that it is not left.

    Args:
        folder: that is there.
        patience: seconds to wait for another to leave it.

    Raises:
        InputError: another holds it.
    """
    opened = None if sys.platform == "win32" else os.open(folder, os.O_RDONLY)
    try:
        if opened is not None:
            _held.add(opened)
            _lock(folder, opened, patience)
        yield
    finally:
        if opened is not None and opened in _held:  # a forked child has closed it
            _held.discard(opened)
            os.close(opened)


def is_left(folder: Path) -> bool | None:
    """Say whether nobody holds a folder any more; None: there are no locks here to tell."""
    if sys.platform == "win32":
        return None
    import fcntl

    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _BUSY else None
    finally:
        os.close(opened)
    return True


def _lock(folder: Path, opened: int, patience: float) -> None:
    import fcntl

    ends = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                return  # a file system without locks
        else:
            return
        if time.monotonic() > ends:
            raise InputError(
                f"{folder}: another run is writing here; wait until it ends, or choose another "
                "folder"
            )
        time.sleep(_TICK)


def _forget() -> None:
    """Close the locks in a forked child: one that outlives its parent must not keep them."""
    for opened in _held:
        with suppress(OSError):
            os.close(opened)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
