"""Keys by name: kept while their file is the same, refused with a sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
from serving import make_network, make_prompt, save

from prompttune.serve.keys import Keys
from prompttune.serve.limits import Refused


def status(call) -> int:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.status


def test_a_key_is_read_once_and_again_when_its_file_changes(zoo: Path) -> None:
    keys = Keys(make_network(), zoo)
    first = keys.get("fine")
    assert keys.get("fine") is first
    save(make_prompt("fine", scale=2.0), zoo)
    assert keys.get("fine")[0].scale == 2.0
    assert {entry.name for entry in keys.entries()} >= {"fine", "coarse"}


def test_what_is_none_here_has_its_status(zoo: Path) -> None:
    keys = Keys(make_network(), zoo)
    assert status(lambda: keys.get("nobody")) == 404
    assert status(lambda: keys.get("../zoo/fine")) == 404
    assert status(lambda: keys.get("foreign")) == 409
    with pytest.raises(Refused) as caught:
        keys.get("foreign")
    assert str(zoo) not in str(caught.value), "the server's folders are its own"


def test_a_key_is_taken_once(zoo: Path, tmp_path: Path) -> None:
    keys = Keys(make_network(), zoo)
    folder = save(make_prompt("new"), tmp_path / "made")
    data = (folder / "prompt.safetensors").read_bytes()
    assert keys.add(data).name == "new"
    assert (zoo / "new" / "preview.png").is_file()
    assert status(lambda: keys.add(data)) == 409
    assert keys.add(data, overwrite=True).name == "new"
    assert status(lambda: keys.add(data[:100])) == 422
    other = save(replace(make_prompt("other"), fingerprint="e" * 64), tmp_path / "made")
    assert status(lambda: keys.add((other / "prompt.safetensors").read_bytes())) == 422
    assert not (zoo / "other").exists()


def test_a_full_disk_is_the_servers_fault(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    keys = Keys(make_network(), zoo)
    folder = save(make_prompt("new"), tmp_path / "made")
    data = (folder / "prompt.safetensors").read_bytes()
    before = sorted(zoo.rglob("*"))
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(Refused, match=r"cannot keep the key: No space left") as caught:
            keys.add(data)
    assert caught.value.status == 507
    assert str(zoo) not in str(caught.value)
    assert sorted(zoo.rglob("*")) == before
    assert keys.add(data).name == "new"
