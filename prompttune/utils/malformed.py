"""Files whose parts are not of the kinds that their format promises.

A format has more ways to be broken than a reader can name: a number where a list belongs, a key
that is missing, an infinite width. Readers name those that people meet, and leave the rest to
`understood`, so that no file ends in a traceback.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prompttune.utils.errors import InputError

MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, csv.Error,
)  # fmt: skip
"""What Python and NumPy raise where a part of a file is of another kind than expected."""


@contextmanager
def understood(
    file: Path | str, what: str, kinds: tuple[type[Exception], ...] = MALFORMED
) -> Iterator[None]:
    """Turn what a malformed file raises within into one line.

    Args:
        file: that is read.
        what: it should hold.
        kinds: of what is raised; libraries of some formats raise whatever comes, `(Exception,)`.

    Raises:
        InputError: as raised within, or in place of what a malformed file raised, or of a name
            that no file system takes.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        told = f" ({str(error.filename)[:80]!a})" if error.filename else ""
        raise InputError(f"{file}: {error.strerror or reason(error)}{told}") from None
    except kinds as error:
        raise InputError(f"{file}: holds no {what} ({reason(error)})") from None


def reason(error: BaseException) -> str:
    """Say in some words what was raised."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 160 else f"{text[:160]}..."


MAX_VALUES = 100_000
"""In a file. Anchors let a few lines stand for billions, or for a list that holds itself."""


def load_yaml(text: str, place: object) -> Any:
    """Return what YAML says.

    Args:
        text: of the file.
        place: how the error names the file.

    Raises:
        InputError: it is not valid YAML, or stands for more than `MAX_VALUES` values.
    """
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{place}: not valid YAML ({error})") from None
    except MALFORMED as error:  # of its readers of numbers and dates
        raise InputError(f"{place}: not valid YAML ({reason(error)})") from None
    waiting, count = [found], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise InputError(f"{place}: stands for more than {MAX_VALUES} values; use no anchors")
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
    return found
