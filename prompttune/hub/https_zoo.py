"""A zoo behind a web server: an index file with the checksum of each key.

`index.json` stands beside the folders of the keys, and any server of files will do:

    {"format": "prompttune-zoo", "version": 1,
     "keys": [{"name": "cracks", "file": "cracks/prompt.safetensors", "size": 99000,
               "sha256": "..."}]}
"""

import hashlib
import json
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Literal
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import BaseModel, Field, ValidationError

from prompttune.keys.files import KEY_FILE, NAME
from prompttune.keys.header import MAX_FILE, load_card
from prompttune.utils.errors import InputError, suggest
from prompttune.utils.io import whole_file

INDEX = "index.json"
MAX_INDEX = 2**24
SECONDS = 30
"""That a server may be silent."""
HERE = ("localhost", "127.0.0.1", "::1")
"""Of this machine, which alone need not speak HTTPS."""


class IndexedKey(BaseModel):
    """One key of an index."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    file: str
    """URL of the key's file, relative to the index."""
    size: Annotated[int, Field(ge=1)]
    """Bytes."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Index(BaseModel):
    """An index file."""

    format: Literal["prompttune-zoo"] = "prompttune-zoo"
    version: Literal[1] = 1
    keys: list[IndexedKey]


def write_index(zoo: Path, folders: Sequence[Path]) -> Path:
    """Write `index.json` for the keys of a zoo, and return its path.

    Args:
        zoo: a folder of keys.
        folders: of the keys, in it.

    Raises:
        InputError: a key that breaks the format.
    """
    keys = []
    for folder in folders:
        load_card(folder)
        data = (folder / KEY_FILE).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        file = f"{folder.name}/{KEY_FILE}"
        keys.append(IndexedKey(name=folder.name, file=file, size=len(data), sha256=digest))
    with whole_file(zoo / INDEX) as out:
        out.write(Index(keys=keys).model_dump_json(indent=1).encode())
    return zoo / INDEX


def read_index(url: str) -> Index:
    """Fetch an index.

    Args:
        url: of the index file, or of the folder that holds it.

    Raises:
        InputError: not HTTPS, no such file, or not an index.
    """
    text = _fetch(index_url(url), MAX_INDEX)
    try:
        return Index.model_validate(json.loads(text))
    except (ValueError, ValidationError, RecursionError):
        raise InputError(f"{url}: is not the index of a zoo (format prompttune-zoo)") from None


def index_url(url: str) -> str:
    """Return the URL of the index, given it or that of its folder."""
    return url if url.endswith(".json") else f"{url.rstrip('/')}/{INDEX}"


def fetch_key(url: str, index: Index, name: str) -> bytes:
    """Fetch the file of a key, and compare it with the index.

    Raises:
        InputError: no such key, or a file that is not the one that the index promises.
    """
    known = {key.name: key for key in index.keys}
    if name not in known:
        raise InputError(f"{url}: has no key '{name}'.{suggest(name, known)}")
    key = known[name]
    if key.size > MAX_FILE:
        size = f"{key.size / 2**30:.1f} GiB"
        raise InputError(f"{url}: '{name}' has {size}; no key is so large. Nothing was downloaded.")
    data = _fetch(urljoin(index_url(url), key.file), key.size)
    if len(data) != key.size or hashlib.sha256(data).hexdigest() != key.sha256:
        raise InputError(
            f"{url}: '{name}' is not the file that the index promises (its checksum differs); "
            "try again later, or ask whoever keeps the zoo"
        )
    return data


class _SafeRedirects(HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        try:
            _check_address(newurl)
        except InputError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, most: int) -> bytes:
    """Fetch at most so many bytes; more are an error."""
    _check_address(url)
    request = Request(url, headers={"User-Agent": "prompttune"})
    try:
        with build_opener(_SafeRedirects).open(request, timeout=SECONDS) as answer:
            data = answer.read(most + 1)
    except HTTPError as error:
        error.close()
        raise InputError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{url}: cannot be fetched ({' '.join(str(reason).split())})") from None
    if len(data) > most:
        raise InputError(f"{url}: is larger than the {most} bytes that were promised")
    return data


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
        raise InputError(f"{url}: a zoo is fetched by https:// alone")
