"""Load a server and check every answer: `python -m benchmarks.serve --help`.

Starts the server in this process on a free port of this machine, and asks it over HTTP with 1, 8
and 32 clients, one key and four keys in turn. Each row is beside one request at a time, which is
measured anew for it, so that a machine that others load gives ratios all the same. With `--soak
SECONDS` it then asks for more than the server can do, and tells whether memory stays flat, whether
all that was refused got 429, and whether any answer was wrong.
"""

import argparse
import io
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import torch
import uvicorn
from PIL import Image

from prompttune.inference.segmenter import Segmenter
from prompttune.serve.app import create_app, make_service
from prompttune.serve.asgi import Gate
from prompttune.serve.client import Client, ServerError
from prompttune.serve.limits import Limits
from prompttune.zoo.store import load_prompt

WAIT = 3600
"""Seconds that a client waits: the server is to say when it has been too long."""
KEYS = ("retina", "cracks", "aerial", "membranes")


def main() -> None:
    """Run the benchmark and print JSON, a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=32, help="of each row")
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 128, 160], help="of images")
    parser.add_argument("--soak", type=float, default=0, help="seconds; the bar is 600")
    parser.add_argument("--seconds", type=float, default=1800, help="that a request may take")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    limits = Limits(queue=64, seconds=options.seconds)
    service = make_service(Segmenter(), limits=limits)
    server, url = _started(Gate(create_app(service), limits, service.metrics))
    tasks = _tasks(options.sizes, Segmenter())
    for client in range(2):  # keys are read, batches tried out
        _ask(url, tasks[client::2][: len(KEYS)], 8)
    for keys in (KEYS[:1], KEYS):
        chosen = [task for task in tasks if task[0] in keys]
        for clients in options.clients:
            print(
                json.dumps(_row(url, service, chosen, keys, clients, options.requests)), flush=True
            )
    if options.soak:
        print(json.dumps(_soak(url, tasks, options.soak, limits.queue)), flush=True)
    server.should_exit = True


Task = tuple[str, bytes, np.ndarray]


def _tasks(sizes: list[int], reference: Segmenter) -> list[Task]:
    """Return key, image and the right scores of each task."""
    tasks = []
    for number, key in enumerate(KEYS):
        prompt = load_prompt(key)
        for side in sizes:
            random = np.random.default_rng(number + side)
            pixels = random.integers(0, 256, (side, side + 16, 3), np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
            tasks.append((key, file.getvalue(), reference.predict(pixels, prompt).scores))
    return tasks


def _started(app: Any) -> tuple[uvicorn.Server, str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}"


def _ask(url: str, tasks: list[Task], clients: int) -> list[tuple[float, bool]]:
    """Ask all tasks; return the seconds of each, and whether all bits were right."""
    own = threading.local()

    def one(task: Task) -> tuple[float, bool]:
        if not hasattr(own, "client"):
            own.client = Client(url, timeout=WAIT)
        began = time.perf_counter()
        answer = own.client.segment(task[1], task[0])
        return time.perf_counter() - began, np.array_equal(answer.scores, task[2])

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, tasks))


def _row(
    url: str, service: Any, tasks: list[Task], keys: Any, clients: int, requests: int
) -> dict[str, Any]:
    many = tasks * -(-requests // len(tasks))  # the same mixture as one at a time
    few = tasks

    def timed(some: list[Task], count: int) -> tuple[float, list[tuple[float, bool]], float]:
        network, began = _network(service), time.perf_counter()
        answers = _ask(url, some, count)
        seconds = time.perf_counter() - began
        return len(some) / seconds, answers, (_network(service) - network) / seconds

    before = timed(few, 1)[0]
    rate, answers, share = timed(many, clients)
    alone = (before + timed(few, 1)[0]) / 2
    seconds = sorted(each for each, _ in answers)
    return {
        "keys": len(keys), "clients": clients, "requests_a_second": round(rate, 2),
        "against_one_at_a_time": round(rate / alone, 2), "network_share": round(share, 3),
        "p50": round(seconds[len(seconds) // 2], 2),
        "p95": round(seconds[int(len(seconds) * 0.95)], 2),
        "all_bits_right": all(right for _, right in answers),
    }  # fmt: skip


def _network(service: Any) -> float:
    lines = service.metrics.text().decode().splitlines()
    return next(float(x.split()[1]) for x in lines if x.startswith("prompttune_network_seconds_to"))


def _soak(url: str, tasks: list[Task], seconds: float, queue: int) -> dict[str, Any]:
    """Keep twice as many clients asking as the queue holds, without waiting when refused long."""
    counts: Counter[str] = Counter()
    waits: list[float] = []
    ends, process, memory = time.monotonic() + seconds, psutil.Process(), []

    def ask(number: int) -> None:
        client = Client(url, timeout=WAIT)
        while time.monotonic() < ends:
            key, image, scores = tasks[number % len(tasks)]
            number += 1
            began = time.monotonic()
            try:
                answer = client.segment(image, key)
            except ServerError as error:
                counts[f"refused {error.status}"] += 1
                time.sleep(0.25)
            else:
                waits.append(time.monotonic() - began)
                counts["right" if np.array_equal(answer.scores, scores) else "wrong"] += 1

    with ThreadPoolExecutor(2 * queue) as pool:
        for number in range(2 * queue):
            pool.submit(ask, number)
        while time.monotonic() < ends:
            memory.append(process.memory_info().rss / 2**20)
            time.sleep(min(1.0, seconds / 100))
    waits.sort()
    tenth = max(1, len(memory) // 10)
    second, last = np.mean(memory[tenth : 2 * tenth]), np.mean(memory[-tenth:])
    return {
        "soak": seconds, **counts, "p50": round(waits[len(waits) // 2], 1),
        "p95": round(waits[int(len(waits) * 0.95)], 1),
        "megabytes_second_tenth": round(float(second)),
        "megabytes_last_tenth": round(float(last)), "growth": round(float(last / second - 1), 4),
    }  # fmt: skip


if __name__ == "__main__":
    main()
