"""The files of a key: its name, its folder, and writing it so that nobody sees it half-written."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from prompttune.utils import io
from prompttune.utils.errors import InputError
from prompttune.utils.io import sync_folder
from prompttune.utils.locking import alone_in, held, is_left
from prompttune.utils.paths import user_folder

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
KEY_FILE = "prompt.safetensors"
_TURN = 60.0
"""Seconds to wait while another publishes, which takes milliseconds."""
_FORGOTTEN = 3600.0
"""Seconds after which a hidden folder is what a killed process left, where there are no locks."""
DERIVED = ("README.md", "preview.png", "images.png", "colours.png")


def is_name(text: str) -> bool:
    """Return whether this can be the name of a key (so also that it names no folder elsewhere)."""
    return re.fullmatch(NAME, text) is not None


def check_name(text: str) -> None:
    """Raise `InputError` where this cannot be the name of a key."""
    if not is_name(text):
        raise InputError(
            f"{text!a} cannot be the name of a key: use at most 64 of a-z, 0-9, '.', '_' and '-', "
            "and begin with a letter or digit."
        )


def key_file(path: str | Path) -> Path:
    """Return the absolute path of the key file, given it or its folder.

    Raises:
        InputError: nothing is there, or it is no key.
    """
    given = Path(path)
    file = given / KEY_FILE if given.is_dir() else given
    if not file.is_file():
        lacks = f": no {KEY_FILE} in this folder" if given.is_dir() else ": there is no such file"
        raise InputError(f"{given} is not a key{lacks}.")
    return file.absolute()


def save_folder(prompts_zoo: str | Path | None = None) -> Path:
    """Return the zoo for new keys: the one given, or the user's own. It need not exist yet."""
    return Path(prompts_zoo).expanduser() if prompts_zoo else user_folder() / "prompts_zoo"


@contextmanager
def staging(zoo: Path, name: str) -> Iterator[Path]:
    """Give a new hidden folder in the zoo that is gone afterwards, whatever happens.

    Raises:
        InputError: the disk is full, or the zoo cannot be written (inside the block too).
    """
    folder = zoo / f".{name}.{secrets.token_hex(4)}"
    try:
        with ExitStack() as held_until_the_end:
            with alone_in(zoo, _TURN, clean=False):  # nobody may sweep it before it is held
                _sweep(zoo)
                folder.mkdir()
                held_until_the_end.enter_context(held(folder))
            yield folder
    except OSError as error:
        raise InputError(
            f"cannot write key '{name}' in {zoo}: {error.strerror or error}. "
            "Free space, or name another folder with --prompts_zoo."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, folder: Path, overwrite: bool = True) -> None:
    """Move what was staged to its place: a new folder at once, else file by file.

    Those who publish into a zoo do so one after the other. Of a key that is replaced the pictures
    and the page go first, so that a kill in between leaves a key without them, not with another's.

    Args:
        staged: folder of the files, in the same zoo.
        folder: of the key.
        overwrite: replace a key that is there.

    Raises:
        InputError: a key is there by now, and `overwrite` is false.
    """
    with alone_in(folder.parent, _TURN, clean=False):
        if (folder / KEY_FILE).exists() and not overwrite:
            raise taken(folder)
        if folder.exists():
            _replace(staged, folder)
            sync_folder(folder)
        else:
            io.publish(staged, folder)


def _replace(staged: Path, folder: Path) -> None:
    """Move files over those of a key, or leave all as it was."""
    files = sorted(staged.iterdir(), key=lambda file: file.name != KEY_FILE)
    aside = staged / ".before"
    aside.mkdir()
    try:
        for file in files[1:]:
            if (folder / file.name).exists():
                os.replace(folder / file.name, aside / file.name)
        io.publish(files[0], folder / files[0].name)
    except OSError:
        for old in aside.iterdir():
            os.replace(old, folder / old.name)
        raise
    for file in files[1:]:
        io.publish(file, folder / file.name)


def taken(folder: Path) -> InputError:
    """Return the error of a name that another key has."""
    return InputError(
        f"{folder}: a key of this name is there already: "
        "choose another name, or say that it may be overwritten."
    )


def sweep_zoo(zoo: Path) -> None:
    """Remove what killed processes staged in a zoo, unless another is writing there just now."""
    if any(_staged(zoo)):
        with suppress(OSError, InputError), alone_in(zoo, 0.0, clean=False):
            _sweep(zoo)


def _staged(zoo: Path) -> Iterator[Path]:
    for folder in zoo.glob(".*.????????"):
        if re.fullmatch(rf"\.{NAME}\.[0-9a-f]{{8}}", folder.name) and folder.is_dir():
            yield folder


def _sweep(zoo: Path) -> None:
    for folder in _staged(zoo):
        with suppress(OSError):
            left = is_left(folder)
            if left is None:
                left = time.time() - folder.stat().st_mtime > _FORGOTTEN
            if left:
                shutil.rmtree(folder, ignore_errors=True)
