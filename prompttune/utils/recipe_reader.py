"""Read recipes: YAML into dataclasses, strictly.

Written out instead of pydantic, whose strict mode refuses YAML's `1e-3` (text, for want of a
point) as a number, and whose lax mode takes `true` and `"3"` for whole numbers.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from prompttune.utils.errors import InputError, suggest
from prompttune.utils.malformed import load_yaml

_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of fields and values.

    Args:
        path: of the file, in UTF-8.

    Returns:
        What the file holds, its values as YAML has them.

    Raises:
        InputError: there is no such file, it is not valid YAML, or it is not a mapping.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such recipe")
    try:
        values = load_yaml(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a mapping of fields to values")
    return values


def convert_fields(kind: type, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Check some fields of a dataclass, and give their values its types.

    Args:
        kind: the dataclass.
        values: by the names of its fields.
        where: the dotted name of the field that the dataclass itself is for, for messages.

    Returns:
        The same fields: nested mappings as dataclasses, lists as the tuples they are declared as.

    Raises:
        InputError: a field that the dataclass lacks, or a value of another type; the line names
            the field.
    """
    kinds = get_type_hints(kind)
    inside = f"{where}." if where else ""
    for name in values:
        if name not in kinds:
            raise InputError(f"unknown field '{inside}{name}'.{suggest(str(name), kinds)}")
    return {name: _convert(kinds[name], value, inside + name) for name, value in values.items()}


def build(kind: type, values: Any, where: str = "") -> Any:
    """Make a dataclass of a mapping, see `convert_fields`.

    Raises:
        InputError: as `convert_fields`, what is no mapping, or a missing field.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a mapping of fields to values, not {values!r}")
    given = convert_fields(kind, values, where)
    for each in dataclasses.fields(kind):
        unset = each.default is each.default_factory is dataclasses.MISSING
        if unset and each.name not in given:
            raise InputError(f"'{f'{where}.' if where else ''}{each.name}' is missing")
    return kind(**given)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Check a value of YAML against a field's type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, where)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _of_union([part for part in parts if part is not NoneType], value, where)
    if origin is Literal:
        if value not in parts or isinstance(value, bool):
            raise InputError(f"{where} must be one of {', '.join(map(str, parts))}, not {value!r}")
        return value
    if origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a mapping, not {value!r}")
        return {
            _convert(parts[0], key, f"a name in {where}"): _convert(parts[1], one, f"{where}.{key}")
            for key, one in value.items()
        }
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} must be a list, not {value!r}")
        return origin(_items(origin, parts, value, where))
    return _scalar(kind, value, where)


def _of_union(parts: list[Any], value: Any, where: str) -> Any:
    """Check a value against several types; the line that refuses it is that of the first."""
    complaints = []
    for part in parts:
        try:
            return _convert(part, value, where)
        except InputError as error:
            complaints.append(error)
    raise complaints[0]


def _items(origin: type, parts: tuple[Any, ...], value: Any, where: str) -> Iterable[Any]:
    """Check a list's items: all of one type, or of a tuple's types one by one."""
    one_by_one = origin is tuple and parts[-1] is not Ellipsis
    if one_by_one and len(value) != len(parts):
        raise InputError(f"{where} must have {len(parts)} values, not {value!r}")
    kinds = parts if one_by_one else parts[:1] * len(value)
    for number, (kind, one) in enumerate(zip(kinds, value, strict=True)):
        yield _convert(kind, one, f"{where}[{number}]")


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:  # YAML takes 1e-3, without a point, for text
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
    elif kind is str:
        if isinstance(value, str | Path):
            return str(value)
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise InputError(f"{where} must be {_NAMES.get(kind, kind.__name__)}, not {value!r}")
