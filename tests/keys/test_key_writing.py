"""Keys are written whole or not at all, and what is there stays."""

import os
from pathlib import Path
from typing import Any

import pytest
from key_fixtures import SCORES, Make, everything

from prompttune.keys.header import load_card
from prompttune.keys.key import check_savable, save_key, write_card
from prompttune.utils.errors import InputError


def test_taken_name(key: Path, make: Make, own: Path) -> None:
    before = everything(own)
    with pytest.raises(InputError, match="is there already"):
        save_key(*make(size=8), own)
    assert everything(own) == before


def test_overwrite_replaces_all_and_leaves_other_files(key: Path, make: Make, own: Path) -> None:
    (key / "my-notes.txt").write_text("mine")
    fresh = save_key(*make(size=8), own / "elsewhere")
    save_key(*make(size=8), own, overwrite=True)
    found = everything(key)
    assert found.pop("my-notes.txt") == b"mine"
    assert found == everything(fresh)


def test_folder_that_is_no_key_is_not_touched(own: Path, make: Make) -> None:
    (own / "retina").mkdir(parents=True)
    (own / "retina" / "README.md").write_text("mine")
    with pytest.raises(InputError, match="is not a key"):
        save_key(*make(), own, overwrite=True)
    assert everything(own) == {"retina/README.md": b"mine"}


def test_bad_names_never_reach_the_disk(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    object.__setattr__(prompt, "name", "../escaped")
    with pytest.raises(InputError, match="cannot be the name"):
        save_key(prompt, card, tmp_path / "zoo")
    assert not list(tmp_path.iterdir())


def _fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["os.replace", "os.fsync"])
def test_crash_before_the_rename_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(call, _fail)
    with pytest.raises(InputError, match=r"cannot write key 'retina' in .*No space left"):
        save_key(*make(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["os.replace", "os.fsync"])
def test_crash_while_overwriting_leaves_the_old_key(
    key: Path, make: Make, own: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = everything(own)
    card = load_card(key).with_scores(SCORES)
    monkeypatch.setattr(call, _fail)
    with pytest.raises(InputError, match="cannot write"):
        save_key(*make(size=8), own, overwrite=True)
    with pytest.raises(InputError, match="cannot write"):
        write_card(key, card)
    assert everything(own) == before


def test_interrupt_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_key(*make(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_full_disk(make: Make, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on file size are POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    prompt, card = make()
    try:  # every write beyond 10,000 bytes fails, as on a disk that fills up
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(InputError, match=r"cannot write key 'retina'.*--prompts_zoo"):
            save_key(prompt, card, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_zoo_that_cannot_be_made(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write key 'retina' in .*Not a directory"):
        save_key(*make(), tmp_path / "file" / "zoo")


def test_read_only_zoo(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    # By hand, since chmod does not hold root.
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(InputError, match=r"in .*Read-only file system.*--prompts_zoo"):
        check_savable("retina", tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="chmod holds no root")
def test_read_only_folder(make: Make, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            save_key(*make(), tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_check_savable_leaves_no_trace_in_the_zoo(key: Path, own: Path) -> None:
    before = everything(own)
    check_savable("other", own)
    check_savable("retina", own, overwrite=True)
    with pytest.raises(InputError, match="is there already"):
        check_savable("retina", own)
    assert everything(own) == before
    assert [p.name for p in own.iterdir()] == ["retina"]


def test_write_card_changes_the_card_alone(key: Path) -> None:
    path = key / "prompt.safetensors"
    data = path.read_bytes()
    pictures = {n: b for n, b in everything(key).items() if n.endswith(".png")}
    card = load_card(key)
    write_card(key, card.with_scores(SCORES))
    assert load_card(key) == card.with_scores(SCORES)
    body = 2 * 2 * 3 * 16 * 16 * 4
    assert path.read_bytes()[-body:] == data[-body:]
    assert "0.700" in (key / "README.md").read_text()
    write_card(key, card)
    assert path.read_bytes() == data
    assert pictures.items() <= everything(key).items()


@pytest.mark.parametrize(
    "change", [{"canvas": 8}, {"scale": 1.0}, {"name": "x"}, {"threshold": 0.9}]
)
def test_write_card_of_another_key(key: Path, change: dict[str, Any]) -> None:
    before = everything(key)
    with pytest.raises(InputError, match=f"differs in '{next(iter(change))}'"):
        write_card(key, load_card(key).model_copy(update=change))
    assert everything(key) == before


def test_write_card_wants_a_key_in_a_zoo(key: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes((key / "prompt.safetensors").read_bytes())
    with pytest.raises(InputError, match="only a key in a zoo"):
        write_card(copy, load_card(copy))


def test_card_too_large_for_a_reader(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="card is too large"):
        save_key(*make(notes="x" * 2**20), tmp_path)
    assert not list(tmp_path.iterdir())
