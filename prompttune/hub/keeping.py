"""Keep a key that was fetched in a zoo of one's own, with pages and pictures made anew."""

from pathlib import Path

from prompttune.keys.files import KEY_FILE, check_name, publish, staging
from prompttune.keys.key import check_savable, read_key
from prompttune.keys.previews import write_previews
from prompttune.utils.io import write_synced


def keep_key(data: bytes, zoo: Path, name: str | None = None, overwrite: bool = False) -> Path:
    """Check a key and write it into a zoo; return its folder.

    Args:
        data: its file.
        zoo: a folder of keys.
        name: of its folder; None: the one on its card.
        overwrite: replace a key that is there.

    Raises:
        InputError: a file that breaks the format, a name that is not allowed or taken. Nothing is
            written then.
    """
    with staging(zoo, "pulled") as staged:
        write_synced(staged / KEY_FILE, data)
        tensors, card = read_key(staged / KEY_FILE)
        name = name or card.name
        check_name(name)
        check_savable(name, zoo, overwrite)
        write_previews(staged, tensors["images"], tensors["colours"], card)
        publish(staged, zoo / name, overwrite)
    return zoo / name
