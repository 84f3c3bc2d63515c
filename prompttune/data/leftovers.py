"""Which files of a folder were not used, and why."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from prompttune.utils.image_files import SUFFIXES, is_hidden
from prompttune.utils.paths import real


def leftovers(folder: Path, used: Iterable[Path]) -> list[str]:
    """Say in a line for each kind of files what was passed over.

    Args:
        folder: that was read.
        used: files that belong to a sample, or annotate one.
    """
    if folder.is_file():
        return []
    known = {real(path) for path in used}
    counts: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or real(path) in known:
            continue
        inside = path.relative_to(folder)
        if any(is_hidden(folder / part) for part in (inside, *inside.parents) if part.name):
            counts["hidden files of the system"] += 1
        elif path.suffix.lower() not in SUFFIXES:
            counts[f"*{path.suffix or path.name} (no image)"] += 1
        else:
            counts[f"{inside.parent.as_posix()}/ (images without a partner or beside it)"] += 1
    return [f"{count} x {what}" for what, count in sorted(counts.items())]
