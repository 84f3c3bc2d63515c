"""Runs something as two processes that talk through gloo, as Lightning's launcher starts them."""

import multiprocessing
import socket
from collections.abc import Callable
from typing import Any

import pytest


def run_by_two(function: Callable[..., Any], *args: Any) -> None:
    """Call `function(rank, *args)` in two forked processes at once; both must succeed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_process, args=(i, port, function, args)) for i in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]


def _process(rank: int, port: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RANK", str(rank))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        patch.setenv("MASTER_PORT", str(port))
        function(rank, *args)
