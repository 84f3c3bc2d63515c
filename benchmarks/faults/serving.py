"""A server that is killed amid requests, or has a full disk: no wrong answer, and no half key."""

import io
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.faults.conditions import SHARES, Tried, Work, disk
from benchmarks.faults.killing import Row
from benchmarks.faults.processes import command, start, survivors
from benchmarks.faults.scenarios import mixture
from benchmarks.faults.whole import halves, hidden
from benchmarks.faults.world import World, square

TOKEN = "of-a-benchmark-alone"
CLIENTS, REQUESTS = 3, 24
WAIT = 60.0
FULL = 507
"""The status of what could not be written (HTTP's "insufficient storage")."""
PAGE = 4096
"""Bytes by which a small disk counts."""


def kill_server(
    world: World, folder: Path, moments: int, seed: int, say: Callable[[str], None]
) -> Row:
    """Kill a server at random moments while clients ask it and replace a key.

    Args:
        world: has the backbone and the keys.
        folder: an empty one.
        moments: how often.
        seed: of the moments.
        say: gets a line for each fault.
    """
    row, rng = Row("the server"), random.Random(seed)
    expected = _expected(world)
    unbroken = _seconds(world, folder / "whole", expected)
    for number in range(moments):
        zoo = folder / "zoo"
        shutil.rmtree(zoo, ignore_errors=True)
        shutil.copytree(world.zoo, zoo)
        after = unbroken * (number + rng.random()) / moments
        server, url = _start(world, zoo)
        wrong = _ask(url, world, expected, server, after)
        row.moments += 1
        wrong += [f"left running: {name}" for name in survivors(server)]
        wrong += [f"half there: {name}" for name in halves(zoo)]
        wrong += [f"mixed: {name}" for key in zoo.glob("[!.]*/") for name in mixture(key)]
        again, url = _start(world, zoo)
        lost = _ask(url, world, expected, again, None, few=True)
        _end(again)
        for text in (*wrong, *lost):
            say(f"the server, killed at {after:.2f} s: {text}")
        row.wrong += wrong
        row.lost += lost
    return row


def _expected(world: World) -> dict[str, bytes]:
    """Return the right masks, by key and number of the image."""
    from prompttune.inference.segmenter import Segmenter
    from prompttune.zoo.store import load_prompt

    segmenter, found = Segmenter(world.backbone, "cpu"), {}
    for name in "ab":
        prompt = load_prompt(world.zoo / name)
        for number in range(CLIENTS):
            result = segmenter.predict(square(number, 48)[0], prompt)
            found[f"{name}{number}"] = result.classes.tobytes()
    return found


def _start(
    world: World, zoo: Path, folder: Path | None = None, before: Work | None = None
) -> tuple[int, str]:
    """Start a server; what it prints goes into a folder, else to where its zoo lies."""
    place = folder or zoo.parent
    token, log = place / "token.txt", place / "server.log"
    token.write_text(f"{TOKEN}\n")
    log.unlink(missing_ok=True)
    work = command("serve", "--port", 0, "--backbone", world.backbone, "--device", "cpu",
                   "--prompts_zoo", zoo, "--token_file", token)  # fmt: skip
    server = start(work, zoo, log, before=before)
    ends = time.monotonic() + WAIT
    while time.monotonic() < ends:
        said = log.read_text() if log.exists() else ""
        if "http://" in said:
            return server, said.split("prompttune serve: ")[1].split()[0]
        time.sleep(0.02)
    raise TimeoutError(said)


def _seconds(world: World, folder: Path, expected: dict[str, bytes]) -> float:
    shutil.copytree(world.zoo, folder)
    server, url = _start(world, folder)
    began = time.monotonic()
    wrong = _ask(url, world, expected, server, None)
    seconds = time.monotonic() - began
    _end(server)
    assert not wrong, wrong
    return seconds


def _ask(
    url: str, world: World, expected: dict[str, bytes], server: int, after: float | None,
    few: bool = False,
) -> list[str]:  # fmt: skip
    """Ask from several clients, and kill the server meanwhile; return what was wrong."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(_client, url, number, world, expected, after is not None, few)
            for number in range(CLIENTS)
        ]
        if after is not None:
            time.sleep(after)
            _end(server)
        return [text for each in clients for text in each.result()]


def _client(
    url: str, number: int, world: World, expected: dict[str, bytes], may_break: bool, few: bool
) -> list[str]:
    image = io.BytesIO()
    Image.fromarray(square(number, 48)[0]).save(image, "PNG")
    wrong: list[str] = []
    headers = {"authorization": f"Bearer {TOKEN}"}
    key = (world.zoo / "b" / "prompt.safetensors").read_bytes()
    with httpx.Client(base_url=url, headers=headers, timeout=WAIT, trust_env=False) as client:
        for turn in range(2 if few else REQUESTS // CLIENTS):
            name = "ab"[turn % 2]
            try:
                if number == 0 and not few:  # replaces a key by itself, again and again
                    client.post("/v1/prompts?overwrite=true", content=key)
                answer = client.post(f"/v1/segment?prompt={name}", content=image.getvalue())
            except httpx.HTTPError as error:
                return wrong if may_break else [f"no answer: {error}"]
            if answer.status_code != 200:
                wrong.append(f"answered {answer.status_code}: {answer.text[:80]}")
                continue
            if _pixels(answer.content) != expected[f"{name}{number}"]:
                wrong.append(f"a wrong mask of key {name}")
    return wrong


def fill_server(world: World, folder: Path) -> Tried:
    """Ask a server for masks and to keep a key while its disk, for both, is too small.

    Each request is answered right, or refused with one sentence and the status for it; once there
    is room, the same server answers all.

    Args:
        world: has the backbone and the keys.
        folder: an empty one.
    """
    tried, expected, place = Tried("the server", "full disk"), _expected(world), folder / "disk"
    folder.mkdir(parents=True)
    zoo, key = _room(world.zoo), _room(world.zoo / "b")
    for share in SHARES:
        with disk(place, zoo + int(share * 2 * key)) as (limit, free):
            shutil.copytree(world.zoo, place / "zoo")
            temporary = place / "tmp"
            temporary.mkdir()
            server, url = _start(world, place / "zoo", folder, partial(_keep_in, temporary, limit))
            wrong = _ask_on_full(url, world, expected, tried)
            free()
            if limit:  # of that process
                _end(server)
                server, url = _start(world, place / "zoo", folder)
            wrong += _ask_on_full(url, world, expected, None)
            _end(server)
            wrong += [f"half there: {name}" for name in halves(place / "zoo")]
            wrong += [f"left: {name}" for name in hidden(place / "zoo")]
            wrong += [f"mixed: {name}" for name in mixture(place / "zoo" / "b")]
            wrong += [f"left: {path.name}" for path in temporary.iterdir()]
            wrong += ["a traceback"] * ("Traceback" in (folder / "server.log").read_text())
        tried.faults += [f"the server, a disk of {share:.0%}: {text}" for text in wrong]
    return tried


def _room(folder: Path) -> int:
    """Return the bytes that a folder's files take on a small disk."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(PAGE * -(-size // PAGE) for size in sizes)


def _keep_in(temporary: Path, limit: Work | None) -> None:
    tempfile.tempdir = str(temporary)
    if limit:
        limit()


def _end(server: int) -> None:
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


def _ask_on_full(
    url: str, world: World, expected: dict[str, bytes], tried: Tried | None
) -> list[str]:
    """Ask for masks and to keep a key, in turn; None: there is room, so all must be done."""
    wrong = []
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, headers=headers, timeout=WAIT, trust_env=False) as client:
        for name, answer, right in _answers(client, world, expected):
            if tried is not None:
                tried.tries += 1
                if answer.status_code == FULL and set(answer.json()) == {"error"}:
                    tried.refused += 1
                    continue
            if answer.status_code not in (200, 201) or not right(answer.content):
                wrong.append(f"{name}: {answer.status_code} {answer.text[:80]!a}")
    return wrong


def _answers(
    client: httpx.Client, world: World, expected: dict[str, bytes]
) -> Iterator[tuple[str, httpx.Response, Callable[[bytes], bool]]]:
    key = (world.zoo / "b" / "prompt.safetensors").read_bytes()
    for number in range(CLIENTS):
        yield "a key", client.post("/v1/prompts?overwrite=true", content=key), lambda _: True
        image = io.BytesIO()
        Image.fromarray(square(number, 48)[0]).save(image, "PNG")
        for name in "ab":
            answer = client.post(f"/v1/segment?prompt={name}", content=image.getvalue())
            mask = expected[f"{name}{number}"]
            yield f"a mask of {name}", answer, lambda content, mask=mask: _pixels(content) == mask


def _pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as mask:
        return np.asarray(mask).tobytes()
