"""Keys that are no keys, or damaged: one clear line for each, and no great reading."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from key_fixtures import refused

from prompttune.keys.header import MAX_HEADER


@pytest.mark.parametrize("content", [b"", b"\x02", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_other_files(key: Path, content: bytes) -> None:
    (key / "prompt.safetensors").write_bytes(content)
    refused(key, "not a")


@pytest.mark.parametrize("claim", [MAX_HEADER + 1, 2**40, 2**64 - 1])
def test_absurd_header_is_not_read(key: Path, claim: int) -> None:
    (key / "prompt.safetensors").write_bytes(struct.pack("<Q", claim) + b"{" * 1000)
    refused(key, f"header claims {claim} bytes, at most")


def test_absurd_file_is_not_read(key: Path) -> None:
    with (key / "prompt.safetensors").open("r+b") as file:
        file.truncate(2**30 + 1)  # sparse
    refused(key, "at most 1073741824 are allowed")


def test_truncated_anywhere_is_one_clear_error(key: Path) -> None:
    path = key / "prompt.safetensors"
    data = path.read_bytes()
    for length in [*range(0, 2000, 97), len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        refused(key, "truncated|only")
    path.write_bytes(data + b"x")
    refused(key, "truncated or damaged")


def test_header_that_nests_deeply(key: Path) -> None:
    text = b'{"a":' * 100_000
    (key / "prompt.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    refused(key, "not a safetensors file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.header["__metadata__"].pop("format"), "not a key"),
        (lambda f: f.header["__metadata__"].update(format="pt"), "not a key"),
        (lambda f: f.header.pop("images"), "tensor 'images' is missing"),
        (lambda f: f.header["images"].update(dtype="F64"), "all must be F32 or all F16"),
        (lambda f: f.header["images"].update(dtype=[]), "all must be F32"),
        (lambda f: f.header["images"].update(dtype="F16"), "F32 and F16"),
        (lambda f: f.header["colours"].update(shape=[1, 3, 16, 16]), "'colours' is 1 x 3 x 16"),
        (lambda f: f.header["colours"].update(shape="x"), "'colours' is 'x'"),
        (lambda f: f.header.update(images=3), "damaged"),
        (lambda f: f.header["images"].update(data_offsets=[0, 9**20]), "truncated or damaged"),
        (lambda f: f.header["images"].pop("data_offsets"), "truncated or damaged"),
        (lambda f: f.header["__metadata__"].update(more=3), "metadata is not text"),
        (lambda f: f.card.update(canvas=32), "2 x 3 x 16 x 16, but the card says 2 x 3 x 32 x 32"),
        (lambda f: f.card.update(prompts=3), "the card says 3 x 3 x 16 x 16"),
        (lambda f: f.card.update(format_version=2), "newer than 1"),
        (lambda f: f.card.update(required_features=["gz"]), "requires 'gz'"),
        (lambda f: f.card.pop("threshold"), "'threshold': Field required"),
        (lambda f: f.card["normalisation"].update(std=[1, 1, 1]), "'normalisation.std' is"),
    ],
)
def test_each_break_of_the_format(forge: Any, change: Callable[[Any], Any], match: str) -> None:
    change(forge)
    forge.write()
    refused(forge.path.parent, match)


def test_card_that_is_not_json(forge: Any) -> None:
    forge.write("{oops")
    refused(forge.path.parent, "not valid JSON")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_values_in_a_file(forge: Any, value: float) -> None:
    forge.body = struct.pack("<f", value) + forge.body[4:]
    forge.write()
    refused(forge.path.parent, "tensor 'colours' has values that are not finite")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 1e9}, "'scale': must be 0.0001 to 64"),
        ({"scale": 300.0}, "'scale': must be 0.0001 to 64"),
        ({"scale": -1.0}, "'scale': must be"),
        ({"canvas": 10**9}, "'canvas': must be a whole number 1 to 4096"),
        ({"prompts": 65}, "prompts: must be a whole number 1 to 64"),
        ({"prompts": 64, "canvas": 4096}, "prompts x canvas x canvas must be at most"),
        ({"patch": 10**9}, "'patch': must be"),
    ],
)
def test_numbers_of_a_card_are_bounded(
    key: Path, forge: Any, change: dict[str, Any], words: str
) -> None:
    forge.card.update(change)
    forge.write()
    refused(key, words)
