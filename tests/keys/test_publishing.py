"""Saves and reads of one key at once, and killed saves: one key or the other, never both."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from key_fixtures import Make

from prompttune.keys import files
from prompttune.keys.files import KEY_FILE, staging
from prompttune.keys.key import read_key, save_key
from prompttune.keys.previews import write_previews
from prompttune.utils.errors import InputError
from prompttune.zoo.store import list_keys


def belongs_together(key: Path, scratch: Path) -> bool:
    """Say whether all pictures and the page of a key are its own."""
    kept, card = read_key(key)
    scratch.mkdir(exist_ok=True)
    write_previews(scratch, kept["images"], kept["colours"], card)
    return all(
        (key / made.name).read_bytes() == made.read_bytes()
        for made in scratch.iterdir()
        if (key / made.name).exists()
    )


class Killed(BaseException):
    """Stands for SIGKILL: nothing is caught, nothing is put back."""


@pytest.mark.parametrize("at", range(9))
def test_a_save_that_is_killed_leaves_no_mixture(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    save_key(*make(), tmp_path)
    real, done = os.replace, 0

    def replace(old: object, new: object) -> None:
        nonlocal done
        if done == at:
            raise Killed
        done += 1
        real(old, new)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", replace)
    try:
        save_key(*make(size=8), tmp_path, overwrite=True)
    except Killed:
        assert done == at
    monkeypatch.undo()
    assert belongs_together(tmp_path / "retina", tmp_path / "own")
    save_key(*make(size=8), tmp_path, overwrite=True)
    assert belongs_together(tmp_path / "retina", tmp_path / "own")


def _save(key: tuple, zoo: Path, times: int) -> None:
    for _ in range(times):
        save_key(*key, zoo, overwrite=True)


def test_two_savers_and_a_reader_of_one_key(make: Make, tmp_path: Path) -> None:
    keys = [make(), make(size=8)]
    sizes = {key[0].images[0].shape[-1] for key in keys}
    save_key(*keys[0], tmp_path)
    fork = multiprocessing.get_context("fork")
    savers = [fork.Process(target=_save, args=(key, tmp_path, 8)) for key in keys]
    for each in savers:
        each.start()
    reads = 0
    while any(each.is_alive() for each in savers) or not reads:
        kept, card = read_key(tmp_path / "retina")
        assert kept["images"].shape[-1] == card.canvas
        assert card.canvas in sizes
        reads += 1
    for each in savers:
        each.join()
    assert [each.exitcode for each in savers] == [0, 0]
    assert belongs_together(tmp_path / "retina", tmp_path / "own")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "retina"]


def test_of_two_that_may_not_replace_one_is_refused(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked, and none was there; then one was quicker."""
    first, second = make(), make(size=8)
    write = files.publish

    def late(staged: Path, folder: Path, overwrite: bool = True) -> None:
        monkeypatch.setattr("prompttune.keys.key.publish", write)
        save_key(*first, tmp_path)
        write(staged, folder, overwrite)

    monkeypatch.setattr("prompttune.keys.key.publish", late)
    with pytest.raises(InputError, match="is there already"):
        save_key(*second, tmp_path)
    kept, _ = read_key(tmp_path / "retina")
    assert kept["images"].shape[-1] == first[0].images[0].shape[-1]


def _stage(zoo: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with staging(zoo, "a") as folder:
        (folder / KEY_FILE).write_text("half")
        ready.set()
        signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders there")
@pytest.mark.parametrize("by", ["save", "list"])
def test_what_a_killed_process_staged_goes_at_once(tmp_path: Path, by: str) -> None:
    def next_one() -> None:
        if by == "list":
            list_keys(tmp_path)
        else:
            with staging(tmp_path, "b"):
                pass

    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    child = fork.Process(target=_stage, args=(tmp_path, ready))
    child.start()
    assert ready.wait(60)
    (tmp_path / ".git").mkdir()
    next_one()
    assert len(list(tmp_path.glob(".a.*/*"))) == 1, "it is still at work"
    child.kill()
    child.join()
    next_one()
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_where_there_are_no_locks_what_is_old_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_left", lambda _: None)
    fresh, old, other = (tmp_path / name for name in (".a.0123abcd", ".b.0123abcd", ".git"))
    for folder in (fresh, old, other):
        folder.mkdir()
        (folder / KEY_FILE).write_text("half")
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with staging(tmp_path, "c"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted([fresh, other])
