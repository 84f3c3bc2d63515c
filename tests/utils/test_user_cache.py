"""The cache lies where the system's rule says."""

from pathlib import Path

import pytest

from prompttune.utils.user_cache import user_cache


def test_the_variable_decides_and_home_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert user_cache("tables") == tmp_path / "here" / "prompttune" / "tables"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache("tables") == tmp_path / ".cache" / "prompttune" / "tables"
