"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def temporary_for(path: Path) -> Path:
    """Return the name beside a file under which it is written: hidden, and of this process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def publish(temporary: Path, path: Path) -> None:
    """Give a file that is complete its name, once it is on the disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file appears as `path` when the block ends well, else never."""
    temporary = temporary_for(path)
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only once it is complete."""
    with whole_path(path) as temporary, temporary.open("wb") as file:
        yield file


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is never half there; text is written as UTF-8."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
