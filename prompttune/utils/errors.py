"""The one exception for bad input, and warnings of what was read otherwise than one may think."""

import difflib
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LOG = logging.getLogger("prompttune")
"""Gets the warnings; commands print them, one line each, on stderr."""

_told: set[str] = set()
_telling = threading.Lock()


class InputError(ValueError):
    """Something the user gave cannot be used: one line that says what, where and the remedy."""


def warn(text: str, once: str | None = None) -> None:
    """Log a warning of one line; of those with one name `once` the first alone is told."""
    with _telling:
        if once is not None and once in _told:
            return
        _told.add(once or text)
    LOG.warning("%s", text)


def forget_warnings() -> None:
    """Begin a run: what was told in an earlier one is told again."""
    with _telling:
        _told.clear()


def suggest(name: str, options: Iterable[str]) -> str:
    """Return what to add to an error line: the nearest option, else all of them."""
    options = sorted(options)
    nearest = difflib.get_close_matches(name, options, n=1)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" There are: {', '.join(options)}." if options else ""


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn an out-of-memory error within into one line that says which switch helps.

    Raises:
        InputError: Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        import torch  # commands that only print need none

        text = str(error).lower()
        on_cpu = isinstance(error, MemoryError) or "can't allocate memory" in text
        if not on_cpu and not isinstance(error, torch.OutOfMemoryError):
            raise
        raise InputError(
            f"out of memory on the {'CPU' if on_cpu else 'GPU'}: take a smaller --batch, "
            "--precision bf16, or for tuning --memory saving"
        ) from error
