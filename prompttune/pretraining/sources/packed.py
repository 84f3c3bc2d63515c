"""Where a pool's files lie: below a folder, or in one packed file that travels.

A packed pool is a zip without compression (its JPEGs and PNGs are compressed already):
`<set>/images/*`, `<set>/masks/*.png` (0 background, 255 ignored), where known
`<set>/instances/*.png`, and `pool.json`, which says how each set was read when it was packed.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED

MANIFEST = "pool.json"
VERSION = 1
MAX_UNPACKED = 4
"""Times the size of the file: what a pool holds is compressed already."""
_NO_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError)
"""What zipfile raises. RuntimeError: encrypted, or compressed in a way that it does not know."""


class Files(Protocol):
    """Files by their path below the pool, with `/` between its parts."""

    def names(self, folder: str) -> list[str]:
        """Return the sorted paths of all files below a folder; none if there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is no such file."""

    def place(self, name: str) -> str:
        """Return how an error names a file."""


class FolderFiles:
    """Files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self, folder: str) -> list[str]:
        """Return the sorted paths of all files below a folder, hidden ones left out."""
        found = (self.folder / folder).rglob("[!.]*")
        return sorted(path.relative_to(self.folder).as_posix() for path in found if path.is_file())

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is no such file."""
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def place(self, name: str) -> str:
        """Return the file's path."""
        return str(self.folder / name)


class PackedFiles:
    """Files of a packed pool, all held in memory."""

    def __init__(self, path: Path) -> None:
        """Read the whole file; raises `InputError` for one that is no packed pool."""
        self.path = path
        try:
            with zipfile.ZipFile(path) as packed:
                _check_size(path, packed.infolist())
                self.content = {name: packed.read(name) for name in packed.namelist()}
            manifest = json.loads(self.content[MANIFEST])
            version, self.sets = manifest["version"], manifest["sets"]
        except InputError:
            raise
        except (*MALFORMED, *_NO_ZIP) as error:
            raise InputError(
                f"{path}: no packed pool; `python -m prompttune.pretraining pack` makes one"
            ) from error
        if version != VERSION:
            raise InputError(f"{path}: packed as version {version}, needed is {VERSION}; pack anew")

    def names(self, folder: str) -> list[str]:
        """Return the sorted paths of all files below a folder."""
        return sorted(name for name in self.content if name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is no such file."""
        return self.content.get(name)

    def place(self, name: str) -> str:
        """Return the pool's path and the file's in it."""
        return f"{self.path}:{name}"


def _check_size(path: Path, packed: Sequence[zipfile.ZipInfo]) -> None:
    if sum(entry.file_size for entry in packed) > MAX_UNPACKED * path.stat().st_size:
        raise InputError(f"{path}: no packed pool: it unpacks to over {MAX_UNPACKED} times itself")


def open_files(path: Path) -> FolderFiles | PackedFiles:
    """Open a pool; raises `InputError` where there is none."""
    if path.is_dir():
        return FolderFiles(path)
    if not path.is_file():
        raise InputError(f"{path}: no such folder or packed pool")
    return PackedFiles(path)
