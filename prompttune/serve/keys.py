"""The keys of a zoo by their names alone: read when they are asked for, kept, and read anew."""

import threading
from collections import OrderedDict
from pathlib import Path

from torch import Tensor

from prompttune.backbone import SegGPT
from prompttune.keys.card import Card
from prompttune.keys.files import KEY_FILE, is_name, publish, save_folder, staging
from prompttune.keys.key import check_savable, read_key
from prompttune.keys.previews import write_previews
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.serve.limits import Refused
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.io import write_synced
from prompttune.zoo.store import Entry, list_keys, zoo_folders

MAX_KEPT = 64
"""Keys that stay in memory."""

Key = tuple[Prompt | Composition, Card]
_State = tuple[str, int, int, int]


class Keys:
    """A zoo as it is at this moment: new keys appear, and deleted ones are gone, without a restart.

    Only names are looked up, never paths: what cannot be a key's name is not looked for.

    Args:
        network: that keys must fit.
        prompts_zoo: searched before the shipped keys; None: the user's own.

    Raises:
        InputError: `prompts_zoo` is not a folder.
    """

    def __init__(self, network: SegGPT, prompts_zoo: str | Path | None = None) -> None:
        zoo_folders(prompts_zoo)
        self._network, self._prompts_zoo = network, prompts_zoo
        self._kept: OrderedDict[str, tuple[_State, Key]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def own(self) -> Path:
        """The zoo into which new keys go."""
        return save_folder(self._prompts_zoo)

    def entries(self) -> list[Entry]:
        """List the keys of all zoos by name, those that cannot be read with the reason."""
        try:
            return list_keys(self._prompts_zoo)
        except InputError:  # the folder itself has been removed: the shipped keys are left
            return [each for each in list_keys() if each.shipped]

    def folder(self, name: str) -> Path:
        """Return a key's folder.

        Raises:
            Refused: 404, there is no key of this name now.
        """
        if is_name(name):
            for zoo in (self.own, *zoo_folders()[-1:]):
                if (zoo / name / KEY_FILE).is_file():
                    return zoo / name
        known = [entry.name for entry in self.entries()]
        raise Refused(404, f"No key {name[:80]!a} here.{suggest(name[:80], known)}")

    def place(self, name: str) -> Path:
        """Return the folder for a new key.

        Raises:
            Refused: 422, this can be no key's name; 409, it is taken.
        """
        if not is_name(name):
            raise Refused(
                422,
                f"{name[:80]!a} cannot be the name of a key: use at most 64 of a-z, 0-9, '.', '_' "
                "and '-', and begin with a letter or digit.",
            )
        if (self.own / name).exists():
            raise Refused(409, f"There is a key {name!a} already; choose another name.")
        return self.own.absolute() / name

    def get(self, name: str) -> Key:
        """Return a key's prompt and card; the same objects as long as its file is the same.

        Raises:
            Refused: 404, there is no such key; 409, its file is broken or of another backbone.
        """
        folder = self.folder(name)
        with self._lock:
            try:
                state = _state(folder / KEY_FILE)
                kept = self._kept.get(name)
                if kept is None or kept[0] != state:
                    key = load_key(folder, self._network.fingerprint, self._network.name)
                    kept = self._kept[name] = state, key
            except OSError:
                raise Refused(404, f"No key {name!a} here any more.") from None
            except InputError as error:
                raise Refused(
                    409, f"Key {name!a} cannot be used: {_public(error, folder)}"
                ) from None
            self._kept.move_to_end(name)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return kept[1]

    def add(self, data: bytes, overwrite: bool = False) -> Card:
        """Check a key file in full, as a reader does, and put it into the zoo.

        Args:
            data: the bytes of a `prompt.safetensors`; its card has the name.
            overwrite: replace a key of that name.

        Raises:
            Refused: 422, no valid key of this backbone; 409, the name is taken; 507, the zoo cannot
                be written.
        """
        zoo = self.own
        try:
            with staging(zoo, "upload") as staged:
                write_synced(staged / KEY_FILE, data)
                kept, card = self._read_upload(staged)
                with self._lock:
                    check_savable(card.name, zoo, overwrite)
                    write_previews(staged, kept["images"], kept["colours"], card)
                    publish(staged, zoo / card.name, overwrite)
        except InputError as error:
            if isinstance(error.__cause__, OSError):
                why = error.__cause__.strerror or "it cannot be written"
                raise Refused(507, f"The server cannot keep the key: {why}.") from None
            raise Refused(
                409, "A key of this name is there already; send overwrite=true to replace it."
            ) from None
        return card

    def _read_upload(self, staged: Path) -> tuple[dict[str, Tensor], Card]:
        try:
            return read_key(staged, self._network.fingerprint, self._network.name)
        except InputError as error:
            raise Refused(422, f"This is no key to use here: {_public(error, staged)}") from None


def _state(path: Path) -> _State:
    stat = path.stat()
    return str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size


def _public(error: InputError, folder: Path) -> str:
    """Return an error's text without the server's folders."""
    text = str(error).replace(str(folder.absolute() / KEY_FILE), KEY_FILE)
    return text.replace(str(folder), "the key").replace(str(folder.parent), "the zoo")
