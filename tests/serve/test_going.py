"""Clients that go, and servers that stop: what nobody waits for is not computed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from serving import PATIENCE, counted, listening, make_network, make_prompt, photo, png, save, until

from prompttune.backbone.weights import save_weights
from prompttune.inference.segmenter import Segmenter
from prompttune.serve.client import Client


def ask(port: int, image: bytes, name: str = "fine") -> socket.socket:
    """Send a request without waiting for its answer."""
    asking = socket.create_connection(("127.0.0.1", port))
    head = f"POST /v1/segment?prompt={name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    asking.sendall(f"{head}Content-Length: {len(image)}\r\n\r\n".encode() + image)
    return asking


def answered(port: int, image: bytes) -> None:
    with closing(Client(f"http://127.0.0.1:{port}")) as client:
        client.ask(image, "fine")


def test_the_work_of_a_client_that_goes_is_dropped(zoo: Path) -> None:
    image = png(photo(40, 40))
    with listening(zoo) as (service, port):
        free = threading.Event()
        service.engine.call(free.wait)  # the network is busy
        going = [ask(port, image) for _ in range(3)]
        staying = threading.Thread(target=answered, args=(port, image))
        staying.start()
        until(lambda: len(service.engine._jobs) == 4)
        for each in going:
            each.close()
        until(lambda: counted(service, "prompttune_cancelled_total") == 3)
        assert len(service.engine._jobs) == 1
        until(lambda: counted(service, "prompttune_queue") == 1)
        free.set()
        staying.join()
        windows = counted(service, "prompttune_batch_windows_sum")
        answered(port, image)
        assert counted(service, "prompttune_batch_windows_sum") == 2 * windows  # one image's each


def test_a_client_that_goes_while_it_is_answered_gets_no_further_windows(zoo: Path) -> None:
    with listening(zoo) as (service, port):
        going = ask(port, png(photo(700, 700)))  # thousands of windows
        until(lambda: counted(service, "prompttune_batch_windows_sum") > 0)
        going.close()
        until(lambda: not service.engine._jobs)
        seen = counted(service, "prompttune_batch_windows_sum")
        service.engine.call(lambda: None).result(PATIENCE)
        assert counted(
            service, "prompttune_batch_windows_sum"
        ) - seen <= service.engine.segmenter.batch_size(1, 16)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_stops_says_so_to_those_who_wait(
    tmp_path: Path, zoo: Path, number: signal.Signals
) -> None:
    weights = tmp_path / "small.safetensors"
    save_weights(make_network(), weights)
    save(make_prompt("own", fingerprint=Segmenter(weights).network.fingerprint, scale=2.0), zoo)
    command = [sys.executable, "-m", "prompttune.serve", "--port", "0", "--grace", "0.2"]
    command += ["--backbone", str(weights), "--prompts_zoo", str(zoo)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    port = int(process.stdout.readline().split(":")[-1])
    asking = ask(port, png(photo(1500, 1500)), "own")
    client = Client(f"http://127.0.0.1:{port}")
    until(lambda: b"prompttune_batch_windows_count 0.0" not in client._request("GET", "/metrics"))
    client.close()
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in errors
    told = asking.makefile("rb").read()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b'{"error": "The server is stopping; ask again later."}' in told
    asking.close()
