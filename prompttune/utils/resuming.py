"""Whether a run may begin in a folder, or go on with what lies there: one rule for all commands."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompttune.utils.errors import InputError

_SHAPES = ("max_steps",)
"""Fields that change a run's first steps too, which is not obvious: the rate falls over all."""


def refuse_begun(output: Path, begun: bool, resume: bool, anew: str = "--overwrite") -> None:
    """Refuse to begin where a run lies that was not to be resumed.

    Args:
        output: folder of the run.
        begun: whether one lies there.
        resume: go on with it.
        anew: what the user may give instead, to start anew.

    Raises:
        InputError: a run lies there, and `resume` is false.
    """
    if begun and not resume:
        raise InputError(
            f"{output}: holds a run already; add --resume to go on, {anew} to start anew"
        )


def check_same_run(
    output: Path | str,
    earlier: Mapping[str, Any],
    now: Mapping[str, Any],
    anew: str = "another --output, or --overwrite",
) -> None:
    """Refuse to go on with a run that was begun with other settings.

    Args:
        output: folder of the run, or its URL.
        earlier: settings that it was begun with, as JSON has them.
        now: those that are given.
        anew: what the user may give instead.

    Raises:
        InputError: they differ; the line names the fields.
    """
    if differing := differences(earlier, now):
        shapes = any(name in _SHAPES for name in differing)
        note = " (which also shapes the learning rate)" if shapes else ""
        raise InputError(
            f"{output}: cannot be resumed: it was begun with other {', '.join(differing)}{note}; "
            f"give those, {anew}"
        )


def read_settings(path: Path) -> dict[str, Any]:
    """Read what a run was begun with.

    Args:
        path: of a JSON file with settings and a `recipe`.

    Raises:
        InputError: it is damaged.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(read, dict) and isinstance(read.get("recipe"), dict):
            return read
    except (ValueError, RecursionError):
        pass
    raise InputError(f"{path}: is damaged, so the run cannot go on; start it anew with --overwrite")


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """Return the dotted names of the fields in which two trees of values differ, in order."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = sorted(old.keys() | new.keys())
        dot = f"{name}." if name else ""
        pairs = ((old.get(one), new.get(one), dot + one) for one in names)
        return [found for pair in pairs for found in differences(*pair)]
    return [] if old == new else [name]
