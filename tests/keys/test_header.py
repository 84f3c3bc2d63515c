"""Headers of safetensors files: written the same each time, read bounded."""

from pathlib import Path

import pytest

from prompttune.keys.header import MAX_HEADER, pack_header, read_header, shape_text
from prompttune.utils.errors import InputError

TENSOR = {"x": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}}


def test_what_is_packed_is_read(tmp_path: Path) -> None:
    packed = pack_header({"b": "2", "a": "ä"}, TENSOR)
    assert packed == pack_header({"a": "ä", "b": "2"}, TENSOR)
    assert len(packed) % 8 == 0
    (tmp_path / "x").write_bytes(packed + b"tail")
    header = read_header(tmp_path / "x")
    assert (header.metadata, header.tensors) == ({"a": "ä", "b": "2"}, TENSOR)
    assert header.end == len(packed)


def test_safetensors_reads_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    (tmp_path / "x.safetensors").write_bytes(pack_header({"a": "1"}, TENSOR))
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        assert file.metadata() == {"a": "1"}
        assert list(file.keys()) == ["x"]


def test_more_than_a_reader_takes_is_not_written() -> None:
    with pytest.raises(InputError, match="too large"):
        pack_header({"a": "x" * MAX_HEADER}, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"[]", "not a JSON object"), (b'{"__metadata__": {"a": 1}}', "is not text"),
     (b'{"x": 1}', "does not describe"), (b"{", "not a JSON object")],
)  # fmt: skip
def test_other_headers_are_one_line(tmp_path: Path, text: bytes, line: str) -> None:
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + b"   ")
    with pytest.raises(InputError, match=line):
        read_header(tmp_path / "x")


def test_shapes_as_people_write_them() -> None:
    assert shape_text([1, 3, 8]) == "1 x 3 x 8"
    assert shape_text("é") == "'\\xe9'"
