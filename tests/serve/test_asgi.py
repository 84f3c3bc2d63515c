"""Addresses of this machine alone, and bodies that lie about their length."""

import asyncio

import pytest
from serving import make_network  # noqa: F401 (skips where the extra is missing)

from prompttune.serve.asgi import _bounded, _check_local, client_gone, is_loopback
from prompttune.serve.limits import Refused


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_addresses_of_this_machine(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    ("headers", "passes"),
    [({"host": "localhost:8000"}, True), ({"host": "[::1]:8000"}, True), ({"host": "[::1]"}, True),
     ({"host": "evil.example"}, False), ({}, False),
     ({"host": "localhost:8000", "origin": "http://localhost:8000"}, True),
     ({"host": "localhost:8000", "origin": "http://evil.example"}, False),
     ({"host": "localhost:8000", "origin": "http://localhost:9"}, False)],
)  # fmt: skip
def test_only_pages_of_this_server_may_ask(headers: dict[str, str], passes: bool) -> None:
    if passes:
        _check_local(headers)
        return
    with pytest.raises(Refused) as caught:
        _check_local(headers)
    assert caught.value.status == 403


def test_a_body_is_counted_as_it_comes() -> None:
    async def receive() -> dict:
        return {"type": "http.request", "body": b"1234", "more_body": True}

    async def read() -> None:
        counted = _bounded(receive, 10)
        for _ in range(3):
            await counted()

    with pytest.raises(Refused) as caught:
        asyncio.run(read())
    assert caught.value.status == 413


def test_a_client_has_gone_once_it_says_so() -> None:
    messages = [{"type": "http.request"}, {"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> dict:
        return messages.pop(0)

    asyncio.run(client_gone(receive))
    assert not messages
