"""Where things lie: what is shipped, what a user makes, where a path leads in the end."""

import os
from pathlib import Path

from prompttune.utils.errors import InputError

DEFAULT_BACKBONE = "seggpt-small"
"""The backbone of this package that everything uses unless another is named."""


def shipped_folder(name: str) -> Path:
    """Return the folder `recipes` or `prompts_zoo` that came with this installation.

    A wheel carries both inside the package (see pyproject.toml); a checkout has them beside it.
    """
    package = Path(__file__).parents[1]
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def user_folder() -> Path:
    """Return the folder for what users make: `$PROMPTTUNE_HOME`, or the platform's data folder."""
    if home := os.environ.get("PROMPTTUNE_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_path

    return user_data_path("prompttune", appauthor=False)


def real(path: Path) -> Path:
    """Return where a path leads, absolute and without links; a link to itself stays as it is.

    `Path.resolve` raises where links run in a circle, in some versions of Python.
    """
    return Path(os.path.realpath(path))


def check_folder(path: Path, called: str) -> None:
    """Refuse an output folder that cannot become one, before any work is spent.

    Raises:
        InputError: a file, a folder below a file, or a link that leads to nothing.
    """
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path}: is a link that leads to nothing, or to itself; remove it, or choose another "
            f"{called}"
        )
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; {called} names a folder")
    check_place(path, called)


def check_place(path: Path, called: str) -> None:
    """Refuse an output whose folder is none, before any work is spent.

    Raises:
        InputError: a file lies where a folder above it would be.
    """
    above = next((each for each in path.parents if each.exists()), None)
    if above is not None and not above.is_dir():
        raise InputError(f"{above}: is a file, so {called} {path} cannot be made; choose another")


def user_cache(kind: str) -> Path:
    """Return the folder of one kind of files in the user's cache; it may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "prompttune" / kind
