"""Names of version 0.1: taken for one version, with a warning that says the name of today."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from prompttune.utils.errors import InputError

_Named = TypeVar("_Named", bound=Callable[..., Any])


def names_of_today(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return values by the names of today.

    Args:
        values: by either name, in any order.
        names: from those of version 0.1 to those of today.

    Returns:
        The same values in the same order.

    Raises:
        InputError: one thing has a value under both of its names.
    """
    for old, now in names.items():
        if old in values and now in values:
            raise InputError(f"{old} is the old name of {now}; give one of the two")
    return {names.get(name, name): value for name, value in values.items()}


def takes_old_names(**names: str) -> Callable[[_Named], _Named]:
    """Let a function or a class take arguments by their names of version 0.1.

    A class is asked for its attributes by these as well. Each use warns (`DeprecationWarning`).

    Args:
        **names: from those of version 0.1 to those of today.

    Returns:
        What decorates the function, or the class, with an `__init__` of its own or a dataclass's.
    """

    def decorate(named: _Named) -> _Named:
        owner = named.__name__
        if not inspect.isclass(named):
            return _taking(named, names, owner)
        made: Any = named
        made.__init__ = _taking(made.__init__, names, owner)
        for old, now in names.items():
            setattr(made, old, _answering(owner, old, now))
        return made

    return decorate


def _taking(function: Callable[..., Any], names: Mapping[str, str], owner: str) -> Any:
    """Return a function that also takes arguments by their old names."""

    @wraps(function)
    def take(*args: Any, **given: Any) -> Any:
        for old in [name for name in given if name in names]:
            _tell(owner, old, names[old])
            # Over the name of today: `dataclasses.replace` gives that one as well, as it was.
            given[names[old]] = given.pop(old)
        return function(*args, **given)

    return take


def _answering(owner: str, old: str, now: str) -> property:
    """Return an attribute that is another one's old name."""

    def answer(one: Any) -> Any:
        _tell(owner, old, now)
        return getattr(one, now)

    return property(answer)


def _tell(owner: str, old: str, now: str) -> None:
    text = f"{owner}: {old} is called {now} now; the next version forgets {old}"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
