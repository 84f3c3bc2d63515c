"""HTTP requests for `fuzz_readers.py`: raw bytes, parsed as the server's own parser does (h11).

They are put to the application in this process, behind its gate. A fault is an exception, a status
of 500 or above, or no answer.
"""

import asyncio
import atexit
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h11
from fuzz_damage import in_bytes, in_words

from prompttune.utils.errors import InputError

BOUNDARY = "xxx"


def _request(line: str, body: bytes = b"", **headers: str) -> bytes:
    given = {"host": "localhost", "content-length": str(len(body)), **headers}
    lines = [f"{line} HTTP/1.1", *(f"{name.replace('_', '-')}: {v}" for name, v in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _form(parts: dict[str, bytes]) -> bytes:
    lines = b""
    for name, value in parts.items():
        told = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name.rstrip("+")}"'
        file = f'; filename="{name}.png"' if len(value) > 20 else ""
        lines += f"{told}{file}\r\n\r\n".encode() + value + b"\r\n"
    return lines + f"--{BOUNDARY}--\r\n".encode()


@cache
def requests() -> list[bytes]:
    """Make a request for each route and each way to ask."""
    import numpy as np
    from serving import photo, png

    image, mask = png(photo(9, 8)), png(np.eye(9, 8, dtype=np.uint8))
    key = (_place() / "zoo" / "fine" / "prompt.safetensors").read_bytes()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    asked = "prompt=coarse&format=coco&overlap=0.5&flips=true"
    form = _form({"prompt": b"fine", "format": b"rle", "image": image})
    shown = {"image": image, "example": image, "mask": mask, "classes": b"a", "scale": b"0.5"}
    return [
        *(_request(f"GET {path}") for path in (
            "/health", "/metrics", "/docs", "/openapi.json", "/v1/prompts", "/v1/prompts/fine",
            "/v1/prompts/fine/preview", "/v1/prompts/fine/file",
        )),
        _request("POST /v1/segment?prompt=fine", image),
        _request(f"POST /v1/segment?{asked}", image),
        _request("POST /v1/segment?prompt=fine&format=geojson", image),
        _request("POST /v1/segment", form, content_type=kind),
        _request("POST /v1/segment", _form(shown), content_type=kind),
        _request("POST /v1/prompts?overwrite=true", key),
    ]  # fmt: skip


def in_request(data: bytes, rng: random.Random) -> bytes:
    """Damage the head of a request, or its body alone, whose length is told anew."""
    head, _, body = data.partition(b"\r\n\r\n")
    if not body or rng.random() < 0.6:
        return in_words(head, rng) + b"\r\n\r\n" + body
    new = rng.choice((in_bytes, in_words))(body, rng)
    length = f"content-length: {len(body)}".encode()
    return head.replace(length, f"content-length: {len(new)}".encode()) + b"\r\n\r\n" + new


@cache
def _place() -> Path:
    """Make a zoo in a folder that goes when the process ends."""
    from serving import fill

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    fill(Path(folder.name) / "zoo")
    return Path(folder.name)


@cache
def _server() -> tuple[Any, asyncio.AbstractEventLoop]:
    from serving import make_network

    from prompttune.inference.segmenter import Segmenter
    from prompttune.serve.app import create_app, make_service
    from prompttune.serve.asgi import Gate

    service = make_service(Segmenter(make_network()), _place() / "zoo")
    atexit.register(service.engine.close)
    app = create_app(service)
    app.state.may_add_keys = True
    return Gate(app, service.limits, service.metrics), asyncio.new_event_loop()


def ask(path: Path) -> object:
    """Put a request to the server."""
    parser = h11.Connection(h11.SERVER)
    try:
        parser.receive_data(path.read_bytes())
        head = parser.next_event()
        parts = []
        while isinstance(head, h11.Request) and isinstance(more := parser.next_event(), h11.Data):
            parts.append(bytes(more.data))
    except h11.RemoteProtocolError as error:  # the server answers 400 by itself
        raise InputError(str(error)) from None
    if not isinstance(head, h11.Request):
        raise InputError("the connection ends before the head does")
    whole = isinstance(more, h11.EndOfMessage)
    server, loop = _server()
    # In a thread of its own: this one may have a loop that runs, such as a browser's.
    with ThreadPoolExecutor(1) as thread:
        answered = _answered(server, _scope(head), parts, whole)
        status = thread.submit(loop.run_until_complete, answered).result()
    assert whole <= (status is not None), "no answer"
    assert status is None or status < 500, f"status {status}"
    return status


def _scope(head: h11.Request) -> dict[str, Any]:
    """Make of a request what uvicorn makes of it (`H11Protocol`)."""
    from urllib.parse import unquote

    path, _, query = head.target.partition(b"?")
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": head.method.decode("ascii"), "path": unquote(path.decode("ascii")),
        "raw_path": path, "query_string": query, "root_path": "", "headers": list(head.headers),
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip


async def _answered(server: Any, scope: Any, parts: list[bytes], whole: bool) -> int | None:
    """Return the status; None where a client that went away got none."""
    waiting = [
        *({"type": "http.request", "body": part, "more_body": True} for part in parts),
        *([{"type": "http.request", "body": b"", "more_body": False}] if whole else []),
    ]
    status: list[int] = []
    gone = asyncio.Event()

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        if whole:
            await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    from starlette.requests import ClientDisconnect

    with suppress(*(() if whole else (ClientDisconnect,))):
        await asyncio.wait_for(server(scope, receive, send), 60)
    gone.set()
    return status[0] if status else None
