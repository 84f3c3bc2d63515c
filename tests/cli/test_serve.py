"""The command: a real server in a process of its own, asked by the client; options it refuses."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from serving import fill, make_network, make_prompt, photo, png, save

from prompttune.backbone.weights import save_weights
from prompttune.cli import studio
from prompttune.cli.serve import main, parse
from prompttune.inference.segmenter import Segmenter
from prompttune.serve.client import Client, ServerError
from prompttune.utils.errors import InputError


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a zoo with a few keys, and point the user's own folder elsewhere."""
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path / "home"))
    fill(tmp_path / "zoo")
    return tmp_path / "zoo"


@contextmanager
def served(*words: str) -> Iterator[str]:
    """Run the server on a free port, and give its URL."""
    command = [sys.executable, "-m", "prompttune.serve", "--port", "0", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def test_the_client_gets_what_the_segmenter_gives(tmp_path: Path, zoo: Path) -> None:
    weights = tmp_path / "small.safetensors"
    save_weights(make_network(), weights)
    reference = Segmenter(weights)
    fingerprint = reference.network.fingerprint
    prompt = make_prompt("own", ("a", "b"), fingerprint=fingerprint)
    key = save(prompt, tmp_path / "made") / "prompt.safetensors"
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    words = "--backbone", str(weights), "--prompts_zoo", str(zoo), "--token_file", str(token)
    image = png(photo(30, 41))
    mask = png(np.pad(np.ones((9, 9), np.uint8), 10))
    with served(*words) as url:
        client = Client(url, "0123456789abcdef")
        assert client.add_prompt(key)["name"] == "own"
        assert "own" in [one["name"] for one in client.prompts()]
        assert client.card("own")["threshold"] == prompt.threshold
        answer = client.segment(image, "own", flips=True)
        expected = reference.predict(image, prompt, flips=True)
        assert np.array_equal(answer.scores, expected.scores)
        assert np.array_equal(answer.classes, expected.classes)
        assert answer.names == ("a", "b")
        shown = client.segment(image, examples=[(png(photo(29, 29)), mask)], scale=0.5)
        assert shown.names == ("foreground",)
        with pytest.raises(ServerError, match="No key 'nobody'") as refused:
            client.segment(image, "nobody")
        assert refused.value.status == 404
        with pytest.raises(ServerError, match="asks for a token") as refused:
            Client(url).prompts()
        assert refused.value.status == 401
        client.close()
    with pytest.raises(ServerError, match="no answer"):
        client.prompts()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--host", "0.0.0.0"], "give --token_file"),
        (["--token_file", "nothing.txt"], "cannot be read"),
        (["--token_file", "short.txt"], "at least 16"),
        (["--token_file", "/dev/zero"], "at least 16|cannot be read"),
        (["--prompts_zoo", "missing"], "no such folder of keys"),
        (["--port", "99999"], "cannot listen"),
        (["--queue", "0"], "must be above 0"),
        (["--device", "tpu"], "invalid choice"),
    ],
)
def test_what_it_refuses_to_start_with(
    words: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("abc\n")
    weights = tmp_path / "small.safetensors"
    save_weights(make_network(), weights)
    with pytest.raises(InputError, match=complaint):
        main(["--backbone", str(weights), *words])


def test_a_port_that_another_server_has_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "small.safetensors"
    save_weights(make_network(), weights)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for command in (main, studio.main):
            with pytest.raises(InputError, match=f"port {port}: .*; choose another --port"):
                command(["--backbone", str(weights), "--port", str(port)])


def test_defaults_are_this_machine_alone() -> None:
    options = parse([])
    assert (options.host, options.port, options.token_file) == ("127.0.0.1", 8000, None)
