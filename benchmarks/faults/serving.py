"""A server that is killed amid requests: no wrong answer, no half key, and it starts again."""

import io
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.faults.killing import Row
from benchmarks.faults.processes import command, start, survivors
from benchmarks.faults.scenarios import mixture
from benchmarks.faults.whole import halves
from benchmarks.faults.world import World, square

TOKEN = "of-a-benchmark-alone"
CLIENTS, REQUESTS = 3, 24
WAIT = 60.0


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
        os.kill(again, signal.SIGKILL)
        os.waitpid(again, 0)
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


def _start(world: World, zoo: Path) -> tuple[int, str]:
    token, log = zoo.with_name("token.txt"), zoo.with_name("server.log")
    token.write_text(f"{TOKEN}\n")
    log.unlink(missing_ok=True)
    work = command("serve", "--port", 0, "--backbone", world.backbone, "--device", "cpu",
                   "--prompts_zoo", zoo, "--token_file", token)  # fmt: skip
    server = start(work, zoo, log)
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
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
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
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
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
            with Image.open(io.BytesIO(answer.content)) as mask:
                if np.asarray(mask).tobytes() != expected[f"{name}{number}"]:
                    wrong.append(f"a wrong mask of key {name}")
    return wrong
