"""Lists that were published as pickles, read without running what a pickle may ask for.

Some sets are known by lists in Python's pickle format alone. Numbers, texts, lists, and
dictionaries need nothing to be imported or called; a file that asks for more is refused.
"""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from prompttune.utils.errors import InputError

MAX_BYTES = 2**31


class _PlainOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("asks for an object that is kept elsewhere")


def read_plain_pickle(path: Path) -> Any:
    """Return numbers, texts, lists, and dictionaries, nested.

    Raises:
        InputError: no such file, damaged, too large, or one that holds anything else: nothing that
            it asks for is imported or called.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: is larger than 2 GiB, which no published list is")
    try:
        return _PlainOnly(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # a damaged pickle may fail in any way
        raise InputError(f"{path}: is no plain list ({error}); copy the set again") from None
