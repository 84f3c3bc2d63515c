"""What the client refuses before it asks."""

from pathlib import Path

import pytest

from prompttune.serve.client import Client
from prompttune.utils.errors import InputError


def test_bad_addresses_and_files_of_the_client(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the server's URL"):
        Client("localhost:8000")
    with pytest.raises(InputError, match="cannot be read"):
        Client().segment(tmp_path / "missing.png", "own")
