"""Files and folders that are written whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.[a-z]+(\.gz)?")
_KEPT_OF_NAME = 60
"""Characters: a long name must not become too long."""


def temporary_for(path: Path, ending: str = "tmp") -> Path:
    """Return a new name beside a file under which it is written: hidden, and nobody else's.

    It is drawn anew each time, since two containers may write into one folder with one number of
    their processes.

    Args:
        path: of the file.
        ending: for writers that want one of their own.
    """
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name[:_KEPT_OF_NAME]}.{mark}.{ending}")


def sweep(folder: Path) -> None:
    """Remove what processes that are no more left half-written in a folder and below.

    Args:
        folder: in which no other run is at work.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            match = _TEMPORARY.fullmatch(name)
            if not match or _lives(int(match[1])):
                continue
            path = Path(place, name)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        folders[:] = [name for name in folders if not name.startswith(".")]


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def publish(temporary: Path, path: Path) -> None:
    """Give a file, or a folder of files that are on the disk, its name, once it is on the disk.

    Args:
        temporary: what is complete.
        path: in the same file system; a file that is there is replaced, a folder must be empty.
    """
    if temporary.is_dir():
        sync_folder(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
        return
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file of a folder that is to be published, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_path(path: Path, ending: str = "tmp") -> Iterator[Path]:
    """Give a name to write to; the file appears as `path` when the block ends well, else never.

    Args:
        path: of the file.
        ending: of the name, for writers that want one of their own.
    """
    temporary = temporary_for(path, ending)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill; it appears as `path` when the block ends well, else never.

    Where another process has made it meanwhile, that one stays.

    Args:
        path: of the folder; those above it are made.
    """
    temporary = temporary_for(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_dir():
                sync_folder(file)
            else:
                with file.open("rb") as content:
                    os.fsync(content.fileno())
        try:
            publish(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only once it is complete."""
    with whole_path(path) as temporary, temporary.open("wb") as file:
        yield file


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is never half there; text is written as UTF-8."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
