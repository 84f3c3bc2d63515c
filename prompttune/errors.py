"""The one exception for bad input, and how commands report it."""

import difflib
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn


class InputError(ValueError):
    """Something the user gave cannot be used: one line that says what, where and the remedy."""


def suggest(name: str, options: Iterable[str]) -> str:
    """Return what to add to an error line: the nearest option, else all of them."""
    options = sorted(options)
    nearest = difflib.get_close_matches(name, options, n=1)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" There are: {', '.join(options)}." if options else ""


class OneLineErrors:
    """Mixed into an argument parser: a bad argument is reported like any other bad input."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `InputError` where argparse would print its usage and exit."""
        raise InputError(f"{message} (see --help)") from ex


def run(main: Callable[[], int | None], prog: str) -> None:
    """Run a command: bad input and a full or read-only disk end in one line and exit code 2."""
    try:
        code = main()
    except InputError as error:
        code = _fail(prog, str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _fail(prog, f"{error.strerror or error}{where}")
    except KeyboardInterrupt:
        code = _fail(prog, "interrupted", 130)
    sys.exit(code or 0)


def _fail(prog: str, text: str, code: int = 2) -> int:
    print(f"{prog}: error: {' '.join(text.split())}", file=sys.stderr)
    return code
