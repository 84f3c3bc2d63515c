"""Where paths lead, whatever links stand in them."""

from pathlib import Path

import pytest

from prompttune.utils.errors import InputError
from prompttune.utils.paths import check_folder, real, user_cache


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    """Make a link that points to itself."""
    path = tmp_path / "loop"
    path.symlink_to(path)
    return path


def test_a_link_to_itself_has_a_place(loop: Path, tmp_path: Path) -> None:
    assert real(loop).name == "loop"
    (tmp_path / "link").symlink_to(tmp_path)
    assert real(tmp_path / "link" / "a") == real(tmp_path) / "a"


def test_an_output_that_cannot_be_a_folder_is_refused(loop: Path, tmp_path: Path) -> None:
    check_folder(tmp_path, "--output")
    check_folder(tmp_path / "new", "--output")
    with pytest.raises(InputError, match=r"loop: is a link that leads to nothing.*--output"):
        check_folder(loop, "--output")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file; --output names a folder"):
        check_folder(tmp_path / "file", "--output")
    with pytest.raises(InputError, match=r"file: is a file, so --output .* cannot be made"):
        check_folder(tmp_path / "file" / "below" / "it", "--output")


def test_the_variable_decides_and_home_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert user_cache("tables") == tmp_path / "here" / "prompttune" / "tables"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache("tables") == tmp_path / ".cache" / "prompttune" / "tables"
