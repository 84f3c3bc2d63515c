"""`prompttune zoo push`, `pull` and `index`: keys go to others, and come from them."""

import argparse
from collections.abc import Callable
from pathlib import Path

from prompttune.utils.errors import InputError, warn


def push(given: argparse.Namespace) -> int:
    """Upload a key to the Hub, and say how to load it from there."""
    from prompttune.hub.repository import push as upload
    from prompttune.keys.header import load_card
    from prompttune.zoo.store import find_key

    folder = find_key(given.name, given.prompts_zoo)
    if load_card(folder).initialisation.contains_real_image:
        if not given.with_real_image:
            raise InputError(
                f"{folder}: the key contains a real image that it was tuned from; if that may be "
                "published, add --with-real-image"
            )
        warn(f"{folder}: the key contains a real image")
    pinned = upload(folder, given.repo, private=given.private, message=given.message)
    print(f'pushed: load_prompt("{pinned.repo}"), or this revision for good: "{pinned}"')
    return 0


def pull(given: argparse.Namespace) -> int:
    """Fetch keys into one's own zoo."""
    from prompttune.hub.repository import Reference
    from prompttune.hub.repository import pull as download
    from prompttune.keys.files import save_folder
    from prompttune.keys.saving import keep_key

    zoo = save_folder(given.prompts_zoo)
    if "://" in given.source:
        return _pull_from_server(given, zoo)
    reference = Reference.parse(given.source)
    if reference is None or given.keys or given.all:
        raise InputError(
            f"zoo pull {given.source}: give user/name or user/name@revision, or a URL and NAMEs"
        )
    data = download(reference).read_bytes()
    print(f"pulled {keep_key(data, zoo, given.name, given.overwrite)}")
    return 0


def _pull_from_server(given: argparse.Namespace, zoo: Path) -> int:
    from prompttune.hub.https_zoo import fetch_key, read_index
    from prompttune.keys.saving import keep_key

    found = read_index(given.source)
    names = [key.name for key in found.keys]
    wanted = names if given.all or len(names) == 1 else given.keys
    if not wanted:
        listed = ", ".join(names) or "none"
        raise InputError(f"{given.source}: name the keys to pull, or --all; it has {listed}")
    if given.name and len(wanted) > 1:
        raise InputError("--name goes with one key")
    for name in wanted:
        data = fetch_key(given.source, found, name)
        print(f"pulled {keep_key(data, zoo, given.name or name, given.overwrite)}")
    return 0


def index(given: argparse.Namespace) -> int:
    """Write the index of a folder of keys."""
    from prompttune.hub.https_zoo import write_index
    from prompttune.keys.files import KEY_FILE

    folders = sorted(file.parent for file in given.folder.glob(f"*/{KEY_FILE}"))
    if not folders:
        raise InputError(f"{given.folder}: holds no keys")
    print(f"{len(folders)} keys: {write_index(given.folder, folders)}")
    return 0


def _push_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("name", metavar="NAME", help="the key's name, or its folder")
    add("--repo", required=True, metavar="USER/NAME", help="made if it is not there")
    add("--private", action="store_true", help="a new repository is seen by its owner alone")
    add("--message", default="", help="of the commit")
    add("--with-real-image", action="store_true", help="publish a key that contains a real image")


def _pull_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("source", metavar="SOURCE", help="user/name[@revision], or the https:// URL of a zoo")
    add("keys", nargs="*", metavar="NAME", help="keys of a zoo behind a URL")
    add("--all", action="store_true", help="all keys of a zoo behind a URL")
    add("--name", help="keep the key under this name")
    add("--overwrite", action="store_true", help="replace keys that are there")


def _index_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", type=Path, help="a folder of keys")


ARGUMENTS: dict[Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]] = {
    push: _push_arguments,
    pull: _pull_arguments,
    index: _index_arguments,
}
"""Of each command: what adds its arguments."""
