"""What stands before all routes: who may ask, how much, and how many at once."""

import asyncio
import hmac
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prompttune.serve.limits import Limits, Refused
from prompttune.serve.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "testserver"})


def is_loopback(host: str) -> bool:
    """Say whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """Refuses requests before they reach a route, and counts all of them.

    Without a token the server is this machine's alone: then a request must name this machine as
    its host, and come from a page of this server if from any. Otherwise any web page that the user
    opens could use it.

    Args:
        app: that answers what passes.
        limits: of bodies, and of requests at once.
        metrics: counts.
        token: that requests must bear, but for those of `open_paths`; None: none.
        open_paths: that need no token: they hold nothing of the user's.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: Metrics,
        token: str | None = None,
        open_paths: Callable[[str], bool] = lambda path: path == "/health",
    ) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics
        self._token, self._open = token, open_paths
        self._working = 0
        self._seconds = 1.0  # of a request, a moving mean: for Retry-After

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        works = _is_work(scope)
        try:
            self._check(scope, works)
        except Refused as refused:
            await _refuse(refused, sending)
            self._metrics.saw_request(_route(scope), refused.status, time.perf_counter() - began)
            return
        self._working += works
        self._metrics.set_queue(self._working)
        try:
            await self._app(scope, _bounded(receive, self._limits.bytes), sending)
        except asyncio.CancelledError:  # the server stops, and waits no longer for this answer
            if not status:
                await _refuse(Refused(503, "The server is stopping; ask again later."), sending)
        finally:
            seconds = time.perf_counter() - began
            self._working -= works
            self._metrics.set_queue(self._working)
            if works and status < 300:
                self._seconds += 0.1 * (seconds / max(1, self._working + 1) - self._seconds)
            if status:
                self._metrics.saw_request(_route(scope), status, seconds)

    def _check(self, scope: Scope, works: bool) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if self._token is None:
            _check_local(headers)
        elif not self._open(scope["path"]):
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise Refused(
                    401,
                    "This server asks for a token: send the header Authorization: Bearer TOKEN.",
                    {"www-authenticate": "Bearer"},
                )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.bytes:
            raise _too_long(self._limits.bytes)
        if works and self._working >= self._limits.queue:
            wait = max(1, round(self._seconds * self._working / 2))
            raise Refused(
                429,
                f"{self._working} requests are waiting already; try again in {wait} s.",
                {"retry-after": str(wait)},
            )


def _check_local(headers: dict[str, str]) -> None:
    host = headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name not in LOCAL_NAMES:
        raise Refused(403, f"This server answers this machine alone, not {host[:100]!a}.")
    origin = headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1] != host:
        raise Refused(403, f"Pages of {origin[:100]!a} may not use this server.")


def _is_work(scope: Scope) -> bool:
    """Say whether a request may need the network or bring a large body."""
    return scope["method"] == "POST"


def _route(scope: Scope) -> str:
    """Return the route's own path, not what a client wrote: metrics must not grow with names."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))


def _too_long(limit: int) -> Refused:
    return Refused(413, f"The request's body is longer than {limit} bytes, the limit here.")


def _bounded(receive: Receive, limit: int) -> Receive:
    """Count the bytes of a body: a length in a header may be missing, or a lie."""
    got = 0

    async def counted() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > limit:
            raise _too_long(limit)
        return message

    return counted


async def _refuse(refused: Refused, send: Send) -> None:
    body = json.dumps({"error": refused.sentence}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    # A body that was not read would else be taken for the next request of the connection.
    headers |= {"connection": "close", **refused.headers}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def client_gone(receive: Receive) -> None:
    """Return once the client of a request, whose body has been read, has gone."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)
