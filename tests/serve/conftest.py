"""A server on a small random backbone, with keys of its own in a temporary zoo."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

from serving import Running, fill, run


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a zoo with keys of one and of two classes, at a scale and whole."""
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("prompttune.zoo.store.shipped_folder", lambda name: tmp_path / "shipped")
    fill(tmp_path / "zoo")
    return tmp_path / "zoo"


@pytest.fixture
def running(zoo: Path) -> Iterator[Running]:
    with run(zoo) as found:
        yield found


@pytest.fixture
def guarded(zoo: Path) -> Iterator[Running]:
    """A server with a token, which the client bears."""
    with run(zoo, token="0123456789abcdef") as found:
        yield found
