"""A small client of `prompttune serve`. It needs NumPy alone, not the network."""

import http.client
import io
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

from prompttune.utils.errors import InputError

FileLike = str | PathLike[str] | bytes
"""A path, or the bytes of a file."""


class ServerError(InputError):
    """The server did not answer a request: its sentence, and the status."""

    def __init__(self, status: int, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which to try again, where the server is full (429)."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the server found in an image."""

    classes: np.ndarray
    """`H x W uint8`: 0 background, i `names[i - 1]`."""
    scores: np.ndarray
    """`C x H x W float32` in [0, 1]."""
    names: tuple[str, ...]
    """Of the classes."""
    confidence: np.ndarray | None = None
    """The probability that each pixel's class is right, `H x W float32` in [0, 1]; None: not
    known."""
    expected_dice: float | None = None
    """The Dice that the answer can be expected to have, in [0, 1]; None: not known."""
    in_domain: bool | None = None
    """Whether the image is like those that the key was learned from; None: not known."""


class Client:
    """Asks a server; one connection, for one thread.

    Args:
        url: of the server, `http://127.0.0.1:8000`.
        token: that it asks for; None: none.
        timeout: seconds for a single answer.

    Raises:
        InputError: a URL that is none.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", token: str | None = None, timeout: float = 120
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{url}: give the server's URL, such as http://127.0.0.1:8000")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._url, self._base = url, parts.path.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def segment(
        self,
        image: FileLike,
        prompt: str | None = None,
        examples: Sequence[tuple[FileLike, FileLike]] = (),
        **parameters: Any,
    ) -> Answer:
        """Segment an image with a key, or with examples and their masks.

        Args:
            image: a path, or the bytes of an image file.
            prompt: a key's name.
            examples: pairs of an image and its mask, in place of a key.
            **parameters: `overlap`, `flips`, and of examples `classes` and `scale`.

        Returns:
            The same bits as `Segmenter.predict` gives where the server computes in fp32.

        Raises:
            ServerError: the server refused, or cannot be reached.
        """
        body = self.ask(image, prompt, examples, format="npz", **parameters)
        return _answer(body)

    def ask(
        self,
        image: FileLike,
        prompt: str | None = None,
        examples: Sequence[tuple[FileLike, FileLike]] = (),
        **parameters: Any,
    ) -> bytes:
        """Return the bytes of an answer in any `format`; arguments and errors as `segment`."""
        if prompt is not None:
            parameters["prompt"] = prompt
        given = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in parameters.items()
        }
        path = f"/v1/segment?{urlencode(given)}"
        if not examples:
            return self._request("POST", path, _bytes(image), "application/octet-stream")
        files = [("image", image)]
        for example, mask in examples:
            files += [("example", example), ("mask", mask)]
        body, kind = _form(files)
        return self._request("POST", path, body, kind)

    def prompts(self) -> list[dict[str, Any]]:
        """List the keys that the server has now; errors as `segment`."""
        return json.loads(self._request("GET", "/v1/prompts"))

    def card(self, name: str) -> dict[str, Any]:
        """Return a key's card; errors as `segment`."""
        return json.loads(self._request("GET", f"/v1/prompts/{quote(name, safe='')}"))

    def add_prompt(self, key: FileLike, overwrite: bool = False) -> dict[str, Any]:
        """Add a key, a `prompt.safetensors`, and return its card; errors as `segment`."""
        path = f"/v1/prompts?overwrite={str(overwrite).lower()}"
        return json.loads(self._request("POST", path, _bytes(key), "application/octet-stream"))

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        self._connection.close()

    def _request(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None
    ) -> bytes:
        headers = self._headers | ({} if kind is None else {"Content-Type": kind})
        try:
            self._connection.request(method, self._base + path, body, headers)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ServerError(0, f"{self._url}: no answer ({error})") from error
        if response.status < 300:
            return data
        try:
            sentence = str(json.loads(data)["error"])
        except (ValueError, KeyError, TypeError):
            sentence = f"{self._url}: answered {response.status}"
        wait = response.getheader("Retry-After")
        raise ServerError(response.status, sentence, None if wait is None else float(wait))


def _answer(body: bytes) -> Answer:
    """Read an answer in the format `npz`."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return Answer(
            arrays["classes"],
            arrays["scores"],
            names=tuple(map(str, arrays["names"])),
            confidence=arrays.get("confidence"),
            expected_dice=float(arrays["expected_dice"]) if "expected_dice" in arrays else None,
            in_domain=bool(arrays["in_domain"]) if "in_domain" in arrays else None,
        )


def _bytes(item: FileLike) -> bytes:
    if isinstance(item, bytes):
        return item
    try:
        return Path(item).read_bytes()
    except OSError as error:
        raise InputError(f"{item}: cannot be read ({error.strerror})") from None


def _form(files: Sequence[tuple[str, FileLike]]) -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    border = uuid.uuid4().hex
    parts = []
    for name, item in files:
        head = f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        parts += [head.encode(), b"\r\n", _bytes(item), b"\r\n"]
    return b"".join(
        [*parts, f"--{border}--\r\n".encode()]
    ), f"multipart/form-data; boundary={border}"
