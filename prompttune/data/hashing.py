"""A hash of a task's images that anyone can check with `sha256sum`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def hash_data(entries: Mapping[str, Path | bytes]) -> str:
    """Return the SHA-256 (hex) of named contents: a file, or the raw bytes of a generated array.

    It equals `LC_ALL=C sort NAMES | xargs sha256sum | sha256sum` run in the data's folder.
    """
    total = hashlib.sha256()
    for name in sorted(entries, key=str.encode):
        entry = entries[name]
        if isinstance(entry, Path):
            with entry.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            digest = hashlib.sha256(entry).hexdigest()
        total.update(f"{digest}  {name}\n".encode())
    return total.hexdigest()
