"""Finding, listing and removing keys in the user's zoo, a given one and the shipped one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from prompttune.keys.files import save_folder
from prompttune.keys.key import save_key
from prompttune.utils.errors import InputError
from prompttune.zoo.store import find_key, list_keys, load_prompt, remove_key, zoo_folders

Make = Callable[..., Any]


def test_folders(own: Path, shipped: Path, tmp_path: Path) -> None:
    assert save_folder() == own
    assert save_folder(tmp_path / "new") == tmp_path / "new"
    assert zoo_folders() == [own, shipped]
    assert zoo_folders(str(tmp_path)) == [tmp_path, shipped]
    with pytest.raises(InputError, match="no such folder of keys"):
        zoo_folders(tmp_path / "typo")


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save_folder("~/zoo") == tmp_path / "zoo"


def test_own_before_shipped(make: Make, own: Path, shipped: Path) -> None:
    theirs = save_key(*make(), shipped)
    assert find_key("retina") == theirs
    ours = save_key(*make(size=8), own)
    assert find_key("retina") == ours
    assert load_prompt("retina").images[0].shape == (3, 8, 8)


def test_given_zoo_stands_before_the_shipped_one(
    make: Make, own: Path, shipped: Path, tmp_path: Path
) -> None:
    save_key(*make("only-own"), own)
    theirs = save_key(*make("only-shipped"), shipped)
    given = save_key(*make("given"), tmp_path / "given")
    assert find_key("given", tmp_path / "given") == given
    assert find_key("only-shipped", tmp_path / "given") == theirs
    with pytest.raises(InputError, match="no key 'only-own'"):
        find_key("only-own", tmp_path / "given")


def test_load_prompt_by_name_folder_and_file(
    make: Make, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, _ = make()
    loose = tmp_path / "Loose.safetensors"
    loose.write_bytes((key / "prompt.safetensors").read_bytes())
    monkeypatch.chdir(key.parent)
    for given in ("retina", key, str(key), "./retina", key / "prompt.safetensors", loose):
        loaded = load_prompt(given)
        assert torch.equal(torch.stack(loaded.images), torch.stack(prompt.images))


def test_a_renamed_folder_is_found_by_its_new_name(key: Path) -> None:
    key.rename(key.parent / "eyes")
    assert load_prompt("eyes").name == "retina"


def test_unknown_name_suggests_the_nearest(make: Make, key: Path, own: Path, shipped: Path) -> None:
    save_key(*make("roads"), shipped)
    with pytest.raises(InputError, match=r"no key 'retnia' in .*Did you mean 'retina'\?") as caught:
        load_prompt("retnia")
    assert str(own) in str(caught.value)
    assert str(shipped) in str(caught.value)
    with pytest.raises(InputError, match=r"There are: retina, roads\."):
        load_prompt("zzzzz")


@pytest.mark.parametrize("name", ["../prompts_zoo/retina", "Retina", "", "..", "x\n"])
def test_names_that_are_none(
    key: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no key|is not a key") as caught:
        load_prompt(name)
    assert str(caught.value).isprintable()


def test_a_folder_here_that_is_no_key_does_not_hide_the_suggestion(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retinal").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Did you mean 'retina'"):
        find_key("retinal")
    with pytest.raises(InputError, match=r"no prompt\.safetensors in this folder"):
        find_key("./retinal")


def test_list_is_sorted_and_hides_what_is_no_key(
    make: Make, key: Path, own: Path, shipped: Path
) -> None:
    save_key(*make("roads"), shipped)
    save_key(*make(), shipped)
    save_key(*make("cells"), own)
    (own / "empty").mkdir()
    (own / ".retina.0000").mkdir()
    (own / ".retina.0000" / "prompt.safetensors").write_bytes(b"left by a crash")
    (own / "README.md").write_text("")
    found = [(entry.name, entry.shipped) for entry in list_keys()]
    assert found == [("cells", False), ("retina", False), ("roads", True)]
    assert all(entry.card is not None and entry.problem is None for entry in list_keys())


def test_list_without_any_zoo() -> None:
    assert list_keys() == []


def test_list_shows_a_damaged_key(make: Make, key: Path, own: Path) -> None:
    save_key(*make("cells"), own)
    (key / "prompt.safetensors").write_bytes(b"oops")
    cells, retina = list_keys()
    assert cells.card is not None
    assert retina.card is None
    assert "not a safetensors file" in str(retina.problem)


def test_remove_leaves_files_that_are_not_the_keys(make: Make, key: Path, own: Path) -> None:
    save_key(*make("cells"), own)
    (key / "notes.txt").write_text("mine")
    assert remove_key("retina") == key
    assert [p.name for p in key.iterdir()] == ["notes.txt"]
    remove_key("cells")
    assert not (own / "cells").exists()
    with pytest.raises(InputError, match="no key 'cells'"):
        remove_key("cells")


def test_remove_never_takes_shipped_keys(make: Make, own: Path, shipped: Path) -> None:
    folder = save_key(*make(), shipped)
    own.mkdir(parents=True)
    (own / "linked").symlink_to(folder)
    for name, zoo in (("retina", None), ("retina", shipped), ("linked", None)):
        with pytest.raises(InputError, match="came with prompttune"):
            remove_key(name, zoo)
    assert load_prompt("retina").name == "retina"


def test_remove_takes_names_only(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    folder = save_key(*make(), tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be the name"):
        remove_key(str(folder))
    with pytest.raises(InputError, match="no key 'retina'"):
        remove_key("retina")
    assert (folder / "prompt.safetensors").is_file()


def test_remove_of_a_link_removes_the_link(make: Make, own: Path, tmp_path: Path) -> None:
    folder = save_key(*make(), tmp_path / "elsewhere")
    own.mkdir(parents=True)
    (own / "retina").symlink_to(folder)
    remove_key("retina")
    assert not (own / "retina").exists()
    assert (folder / "prompt.safetensors").is_file()
