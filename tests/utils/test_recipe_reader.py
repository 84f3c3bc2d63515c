"""Recipes are read strictly, and every complaint names the field."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.recipe_reader import build, convert_fields, read_mapping


@dataclass(frozen=True)
class Inner:
    rate: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=lambda: Inner(1.0))
    size: tuple[int, int] | None = None
    values: dict[int, int] | None = None
    kind: Literal[0, 1, "auto"] = "auto"
    shown: bool = True
    place: str | Path | None = None
    scale: float | Literal["auto"] = 1.0


def test_values_get_the_types_of_their_fields() -> None:
    read = build(
        Outer,
        {
            "inner": {"rate": "1e-3", "names": ["a", "b"]},
            "size": [4, 3],
            "values": {7: 1},
            "kind": 1,
            "place": Path("x"),
        },
    )
    assert read == Outer(Inner(0.001, ("a", "b")), (4, 3), {7: 1}, 1, True, "x")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"inner": {"rat": 1.0}}, r"unknown field 'inner\.rat'\. Did you mean 'rate'"),
        ({"inner": {}}, r"'inner\.rate' is missing"),
        ({"inner": 3}, "inner must be a mapping"),
        ({"inner": {"rate": True}}, r"inner\.rate must be a number, not True"),
        ({"inner": {"rate": 1, "names": ["a", 2]}}, r"inner\.names\[1\] must be text, not 2"),
        ({"size": [1, 2, 3]}, "size must have 2 values"),
        ({"size": [1, "2"]}, r"size\[1\] must be a whole number, not '2'"),
        ({"values": {"7": 1}}, "a name in values must be a whole number"),
        ({"values": [7]}, "values must be a mapping"),
        ({"kind": True}, "kind must be one of 0, 1, auto, not True"),
        ({"shown": 1}, "shown must be true or false, not 1"),
        ({"place": 1.5}, r"place must be text, not 1\.5"),
    ],
)
def test_a_wrong_value_is_named(wrong: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        build(Outer, wrong)


def test_of_several_types_the_one_that_fits_is_taken() -> None:
    assert build(Outer, {"scale": "auto"}).scale == "auto"
    assert build(Outer, {"scale": 2}).scale == 2.0
    with pytest.raises(InputError, match="scale must be a number, not 'fast'"):
        build(Outer, {"scale": "fast"})


def test_some_fields_alone_keep_what_they_are() -> None:
    assert convert_fields(Outer, {"size": (1, 2)}) == {"size": (1, 2)}


@pytest.mark.parametrize(
    ("content", "line"),
    [(None, "no such recipe"), (b"a: [", "not valid YAML"), (b"- a", "not a mapping"),
     (b"a: \xff", "not valid YAML")],
)  # fmt: skip
def test_files_that_are_no_recipe(tmp_path: Path, content: bytes | None, line: str) -> None:
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"r\.yaml: {line}"):
        read_mapping(path)
