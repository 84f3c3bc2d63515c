"""Where keys lie, and finding them by name: the user's own first, then the shipped ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.hub.repository import Reference, pull
from prompttune.keys.card import Card
from prompttune.keys.files import (
    DERIVED,
    KEY_FILE,
    check_name,
    is_name,
    key_file,
    save_folder,
    sweep_zoo,
)
from prompttune.keys.header import load_card
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.paths import real, shipped_folder

if TYPE_CHECKING:
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt


@dataclass(frozen=True)
class Entry:
    """A key in a zoo: its name there, its folder, and its card, or else why that cannot be read."""

    name: str
    folder: Path
    shipped: bool
    card: Card | None
    problem: str | None = None


def zoo_folders(prompts_zoo: str | Path | None = None) -> list[Path]:
    """Return the zoos to search, in order: the one given or the user's own, then the shipped one.

    Raises:
        InputError: the one given is not a folder.
    """
    own, shipped = save_folder(prompts_zoo), shipped_folder("prompts_zoo")
    if prompts_zoo and not own.is_dir():
        # Else a mistyped zoo would silently give the shipped key of that name.
        raise InputError(f"{own}: there is no such folder of keys (--prompts_zoo).")
    return [own] if real(own) == real(shipped) else [own, shipped]


def find_key(name_or_path: str | Path, prompts_zoo: str | Path | None = None) -> Path:
    """Return the folder of a key: by its name in a zoo, its folder or file, or from the Hub.

    Text that can be a name is one before it is a path: `./retina` means the folder. What is neither
    and reads `user/name`, or `user/name@revision`, is a repository of the Hugging Face Hub.

    Raises:
        InputError: there is no such key; the nearest name is suggested.
    """
    text = str(name_or_path)
    zoos = zoo_folders(prompts_zoo)
    if folder := _in_zoos(text, zoos):
        return folder
    if Path(text).exists() and not (is_name(text) and _is_no_key(Path(text))):
        file = key_file(text)
        return file.parent if file.name == KEY_FILE else file
    if (reference := Reference.parse(text)) and not Path(text).parent.is_dir():
        return pull(reference).parent
    raise _unknown(text, zoos)


def load_prompt(
    name_or_folder: str | Path, prompts_zoo: str | Path | None = None
) -> "Prompt | Composition":
    """Load a key: by name from the zoo, by its folder or file, or as `user/name` from the Hub.

    `user/name@revision` pins a commit, a tag or a branch. What was fetched is kept in the cache of
    huggingface_hub (the extra `hub`), which also serves it without a network.

    Args:
        name_or_folder: the key's name, or the path of its folder or file.
        prompts_zoo: folder of keys that is searched before the shipped ones; None: your own.

    Returns:
        The prompt that the key keeps, its pixels as `float32`. A key whose classes are shared among
        groups is a composition of their prompts.

    Raises:
        InputError: there is no such key, or it breaks the format (docs/key-format.md).
    """
    from prompttune.prompts.loading import load_key  # imports torch: listing keys does not

    return load_key(find_key(name_or_folder, prompts_zoo))[0]


def list_keys(prompts_zoo: str | Path | None = None) -> list[Entry]:
    """List the keys by name; a key of the user's own hides a shipped one of the same name.

    What a killed process was writing there goes.
    """
    found: dict[str, Entry] = {}
    for zoo in zoo_folders(prompts_zoo):
        sweep_zoo(zoo)
        for folder in _key_folders(zoo):
            if folder.name not in found:
                found[folder.name] = _entry(folder)
    return [found[name] for name in sorted(found)]


def remove_key(name: str, prompts_zoo: str | Path | None = None) -> Path:
    """Remove a key of the user's own and return its folder; files that are not the key's stay.

    Raises:
        InputError: there is no such key, or it is a shipped one.
    """
    check_name(name)
    zoos = zoo_folders(prompts_zoo)
    folder = _in_zoos(name, zoos)
    if folder is None:
        raise _unknown(name, zoos)
    if _is_shipped(folder):
        raise InputError(
            f"{folder}: came with prompttune and is not removed; only your own keys are."
        )
    if folder.is_symlink():
        folder.unlink()
        return folder
    for file in (KEY_FILE, *DERIVED):  # the key first: without it the rest is not a key
        (folder / file).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return folder


def _in_zoos(name: str, zoos: list[Path]) -> Path | None:
    if not is_name(name):
        return None
    return next((zoo / name for zoo in zoos if (zoo / name / KEY_FILE).is_file()), None)


def _is_no_key(path: Path) -> bool:
    return path.is_dir() and not (path / KEY_FILE).is_file()


def _unknown(name: str, zoos: list[Path]) -> InputError:
    names = {folder.name for zoo in zoos for folder in _key_folders(zoo)}
    looked = " and ".join(map(str, zoos))
    return InputError(f"no key {name!a} in {looked}.{suggest(name, names)}")


def _key_folders(zoo: Path) -> list[Path]:
    folders = zoo.iterdir() if zoo.is_dir() else ()
    return [f for f in folders if is_name(f.name) and (f / KEY_FILE).is_file()]


def _is_shipped(folder: Path) -> bool:
    return real(folder).is_relative_to(real(shipped_folder("prompts_zoo")))


def _entry(folder: Path) -> Entry:
    try:
        card, problem = load_card(folder), None
    except InputError as error:
        card, problem = None, str(error)
    return Entry(folder.name, folder, _is_shipped(folder), card, problem)
