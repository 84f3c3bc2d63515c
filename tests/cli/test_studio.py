"""The page is for this machine alone."""

from pathlib import Path

import pytest
from serving import make_network  # noqa: F401 (skips where the extra is missing)

from prompttune.cli.studio import main, parse
from prompttune.utils.errors import InputError


def test_it_listens_on_this_machine() -> None:
    options = parse([])
    assert (options.host, options.port) == ("127.0.0.1", 8001)


def test_others_are_kept_out(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    with pytest.raises(InputError, match="this machine alone"):
        main(["--token_file", str(tmp_path / "token")])
    with pytest.raises(InputError, match="give --token_file"):
        main(["--host", "0.0.0.0"])
