"""The one exception for bad input."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave cannot be used: one line that says what, where and the remedy."""


def suggest(name: str, options: Iterable[str]) -> str:
    """Return what to add to an error line: the nearest option, else all of them."""
    options = sorted(options)
    nearest = difflib.get_close_matches(name, options, n=1)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" There are: {', '.join(options)}." if options else ""
