"""The one exception for bad input, and how commands report it."""

import difflib
import sys
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """Something the user gave cannot be used; its text is one line that says what, where and the remedy."""


def suggest(name: str, options: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest option, else all options, as an addition to an error line."""
    options = sorted(options)
    nearest = difflib.get_close_matches(name, options, n=1)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" There are: {', '.join(options)}." if options else ""


def run(main: Callable[[], int | None], prog: str) -> None:
    """Run a command: bad input and a full or read-only disk end in one line on stderr and exit code 2."""
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
