"""What all commands share: one-line errors, exit codes, how a command is quoted, large imports."""

import argparse
import gc
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from prompttune.utils.errors import LOG, InputError, forget_warnings, warn

COMPLETING = "_ARGCOMPLETE"
"""The environment variable by which a shell asks for completions (argcomplete's protocol)."""


class OneLineErrors:
    """Mixed into an argument parser: a bad argument is reported like any other bad input."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `InputError` where argparse would print its usage and exit."""
        raise InputError(f"{' '.join(message.split())} (see --help)") from ex


class Parser(OneLineErrors, argparse.ArgumentParser):
    """An argparse parser whose errors are `InputError`, and which completes words for a shell."""

    renamed: Mapping[str, str] = {}
    """Options by the names that they had in version 0.1: taken for one version, with a warning."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, unless a shell asks for completions: those are answered."""
        _complete(self)
        return super().parse_args(self._as_now(args), namespace)

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as `parse_args`, with options between the positional arguments."""
        _complete(self)
        return super().parse_intermixed_args(self._as_now(args), namespace)

    def _as_now(self, args: Sequence[str] | None) -> list[str]:
        return as_now(sys.argv[1:] if args is None else args, self.renamed)


_VALUES = {("--learn", "colours"): "colors", ("--mask_kind", "grey"): "gray"}
"""Values by the names that they had in version 0.1, likewise."""


def as_now(words: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """Return a command line's words with options and values by their names of today.

    Args:
        words: of the line; behind `--` none is an option.
        renamed: from the names of version 0.1 to those of today.

    Raises:
        InputError: a word is empty; a folder without a name would be the one at hand.
    """
    words = list(words)
    for word in words:
        if not word or (word.startswith("--") and word.endswith("=")):
            raise InputError(f"{word}'' is empty; is a variable of the shell not set?")
    end = words.index("--") if "--" in words else len(words)
    for place, word in enumerate(words[:end]):
        name, equals, value = word.partition("=")
        if name in renamed:
            warn(f"{name} is called {renamed[name]} now; the next version forgets {name}")
            words[place] = f"{renamed[name]}{equals}{value}"
    for place, word in enumerate(words[:end]):
        name, equals, value = word.partition("=") if "=" in word else (words[place - 1], "", word)
        if (name, value) in _VALUES:
            now = _VALUES[name, value]
            warn(f"{name} {value} is called {now} now; the next version forgets {value}")
            words[place] = f"{name}={now}" if equals else now
    return words


def rows_now(names: Sequence[str] | None) -> list[str] | None:
    """Return the names of rows as they are today."""
    if names is None:
        return None
    if "nearest-colour" in names:
        warn("nearest-colour is called nearest-color now; the next version forgets nearest-colour")
    return ["nearest-color" if name == "nearest-colour" else name for name in names]


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; otherwise do nothing."""
    if COMPLETING in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def run(main: Callable[[], int | None], prog: str) -> None:
    """Run a command: bad input and a full or read-only disk end in one line and exit code 2."""
    try:
        with _warnings_shown(prog):
            code = main()
    except InputError as error:
        code = _fail(prog, str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        code = _fail(prog, f"{error.strerror or error}{where}")
    except KeyboardInterrupt:
        code = _fail(prog, "interrupted", 130)
    sys.exit(code or 0)


def say(prog: str, text: str) -> None:
    """Tell in one line on stderr what a command understood."""
    print(f"{prog}: {' '.join(text.split())}", file=sys.stderr, flush=True)


@contextmanager
def _warnings_shown(prog: str) -> Iterator[None]:
    """Print warnings on stderr, one line each, with the command's name."""
    forget_warnings()
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter(f"{prog}: warning: %(message)s"))
    LOG.addHandler(shown)
    try:
        yield
    finally:
        LOG.removeHandler(shown)


def _fail(prog: str, text: str, code: int = 2) -> int:
    print(f"{prog}: error: {' '.join(text.split())}", file=sys.stderr)
    return code


def quote_command(prog: str, words: Iterable[str]) -> str:
    """Return a command line to repeat; absolute paths are cut to the part that others have."""
    return shlex.join(["python", "-m", prog, *map(_public, words)])


def _public(word: str) -> str:
    flag, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    return f"{flag}{equals}{Path(value).name if os.path.isabs(value) else value}"


@contextmanager
def uncollected() -> Iterator[None]:
    """Import within: the garbage collector rests, and never looks at what was imported.

    PyTorch makes some half a million objects that stay. Looking through them again and again while
    they are made takes a tenth of its import, and every later search would look at them as well.
    Where it is there already, nothing is done: garbage of a program that runs would be kept.
    """
    was = gc.isenabled() and "torch" not in sys.modules
    if not was:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
