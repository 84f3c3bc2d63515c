"""A few damaged files for every reader of foreign bytes; `make fuzz` tries many."""

import random
from pathlib import Path

import pytest
from fuzz_readers import READERS, damage, fault

FILES = 40
FOUND = sorted((Path(__file__).parent / "fuzz_corpus").iterdir())
"""Files that once broke a reader, which their names begin with."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_end_in_one_line(name: str) -> None:
    reader, rng = READERS[name], random.Random(7)
    for data in reader.seeds():
        reader_fault = fault(reader, data)
        assert reader_fault is None
    for number in range(FILES):
        data = damage(reader, rng)
        assert fault(reader, data) is None, f"{name}, file {number}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path: Path) -> None:
    assert fault(READERS[path.name.split("-")[0].replace("_", " ")], path.read_bytes()) is None
