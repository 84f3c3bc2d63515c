"""The names of classes, as people list them."""

from collections.abc import Iterable

from prompttune.utils.errors import InputError

BACKGROUND = frozenset({"background", "bg", "__background__", "_background_", "__ignore__"})
"""What value 0 is called, in lower case."""
UNNAMED = ("foreground",)
"""The classes where nobody named any: one, whatever the files call it."""


def class_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the foreground classes: without blanks, and without the background.

    Many tools list the background first; it has value 0 here in any case.

    Raises:
        InputError: a name that is empty, the background at another place than the first, or no
            class beside it.
    """
    stripped = [name.strip() for name in names]
    if not all(stripped):
        raise InputError(f"--classes '{','.join(stripped)}': every class needs a name")
    if stripped and stripped[0].lower() in BACKGROUND:
        stripped = stripped[1:]
    for name in stripped:
        if name.lower() in BACKGROUND:
            raise InputError(
                f"--classes: '{name}' is value 0 and no class; leave it out, or list it first"
            )
    if not stripped:
        raise InputError("--classes: the background alone is no class; name what to segment")
    return tuple(stripped)
