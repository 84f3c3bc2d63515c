"""Uploads that lie, names that are paths or scripts, and a zoo that changes under the server."""

import io
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from serving import Running, counted, listening, make_prompt, photo, png, run, save

from prompttune.serve.limits import Limits

NAMES = ["../../etc/passwd", "/etc/passwd", "a<script>alert(1)</script>.png", "..", "\\\\x\\y", ""]


def segment(running: Running, image: bytes, name: str = "fine", **extra: object) -> object:
    query = {"prompt": name, "format": "png"}
    return running.client.post("/v1/segment", params=query, content=image, **extra)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/zip"])
def test_names_and_types_of_a_form_are_not_looked_at(
    running: Running, name: str, kind: str
) -> None:
    image = png(photo(20, 20))
    right = segment(running, image)
    files = {"image": (name, image, kind)}
    got = running.client.post("/v1/segment", params={"prompt": "fine"}, files=files)
    if name:  # a part without a file name is text, and an image is no text
        assert got.status_code == 200
        assert got.content == right.content  # type: ignore[attr-defined]
    else:
        assert got.status_code in (200, 422)


@pytest.mark.parametrize("name", ["..%2Fzoo%2Ffine", "%2Fetc%2Fpasswd", "%3Cscript%3E", "a%00b"])
@pytest.mark.parametrize("tail", ["", "/preview", "/file"])
def test_names_that_are_paths_or_scripts_are_no_keys(
    running: Running, name: str, tail: str
) -> None:
    response = running.client.get(f"/v1/prompts/{name}{tail}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert str(running.zoo.parent) not in response.text


@pytest.mark.parametrize("name", ["../evil", "ev/il-x", "<evil>x", "..-evil"])
def test_a_key_whose_card_has_another_name_than_a_name(
    guarded: Running, tmp_path: Path, name: str
) -> None:
    key = (save(make_prompt("ordinar"), tmp_path / "else") / "prompt.safetensors").read_bytes()
    forged = key.replace(b"ordinar", name.encode())
    assert len(forged) == len(key)
    assert forged != key
    before = sorted(tmp_path.rglob("*"))
    response = guarded.client.post("/v1/prompts", content=forged)
    assert response.status_code == 422
    assert set(response.json()) == {"error"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_length_that_lies_is_refused_before_the_body_comes(zoo: Path) -> None:
    with listening(zoo) as (service, port), socket.create_connection(("127.0.0.1", port)) as asking:
        asking.settimeout(30)
        head = f"POST /v1/segment?prompt=fine HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        asking.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        told = asking.recv(65536)
        assert told.startswith(b"HTTP/1.1 413 ")
        assert counted(service, "prompttune_queue") == 0


def test_a_body_that_never_comes_is_not_waited_for(zoo: Path) -> None:
    with run(zoo, Limits(seconds=0.3)) as running:
        stuck = threading.Event()

        def slow():  # type: ignore[no-untyped-def]
            yield b"\x89PNG"
            stuck.wait(2)
            yield b"x"

        response = segment(running, slow())  # type: ignore[arg-type]
        assert response.status_code in (408, 422)  # type: ignore[attr-defined]


def test_a_zoo_that_goes_and_comes_back(running: Running) -> None:
    image = png(photo(20, 20))
    assert segment(running, image).status_code == 200  # type: ignore[attr-defined]
    away = running.zoo.rename(running.zoo.with_name("away"))
    assert segment(running, image).status_code == 404  # type: ignore[attr-defined]
    assert running.client.get("/v1/prompts").json() == []
    assert running.client.get("/v1/prompts/fine/file").status_code == 404
    away.rename(running.zoo)
    assert segment(running, image).status_code == 200  # type: ignore[attr-defined]


def test_a_key_that_is_replaced_while_it_is_asked_for_answers_as_one_of_the_two(
    running: Running,
) -> None:
    image = photo(40, 31)
    old, new = (make_prompt("turning", ("a", "b"), scale=scale) for scale in (0.5, 1.0))
    right = [running.reference.predict(image, each).scores for each in (old, new)]
    assert not np.array_equal(*right)
    save(old, running.zoo)
    stop = threading.Event()

    def replace() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            save((old, new)[turn % 2], running.zoo)

    turning = threading.Thread(target=replace)
    turning.start()
    try:
        statuses = set()
        for _ in range(20):
            response = running.client.post(
                "/v1/segment", params={"prompt": "turning", "format": "npz"}, content=png(image)
            )
            statuses.add(response.status_code)
            if response.status_code == 200:
                with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
                    got = arrays["scores"]
                assert any(np.array_equal(got, each) for each in right)
    finally:
        stop.set()
        turning.join()
    assert 200 in statuses
    assert statuses <= {200, 404}
    shutil.rmtree(running.zoo / "turning")
