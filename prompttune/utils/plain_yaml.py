"""YAML from others: its safe part alone, and no more of it than a person writes."""

from typing import Any

import yaml

from prompttune.utils.errors import InputError
from prompttune.utils.malformed import MALFORMED, reason

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
