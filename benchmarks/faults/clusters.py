"""Runs on a Ray cluster of this machine whose driver is killed, and go on."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.faults.processes import command, survivors
from benchmarks.faults.scenarios import Scenario
from benchmarks.faults.whole import digests
from benchmarks.faults.world import World

ROOT = Path(__file__).parents[2]
STARTS = 300.0
"""Seconds that a cluster may take to start."""
PART = 2
"""Images of a part."""


def ray_scenario(world: World, address: str) -> Scenario:
    """Return a run on a cluster that is there already: its workers end with the driver.

    Args:
        world: what it reads.
        address: of the cluster's head.
    """

    def predict(folder: Path) -> Callable[[], None]:
        return command(
            "predict", "--prompt", "a", world.images, "--prompts_zoo", world.zoo, "--backbone",
            world.backbone, "--ray", address, "--workers", 1, "--part", PART, "--files",
            "--output", folder / "out",
        )  # fmt: skip

    def answer(folder: Path) -> dict[str, str]:
        out = folder / "out"
        found = [*out.glob("part-*.parquet"), *(out / "masks").rglob("*.png"), out / "bad.csv"]
        return digests(sorted(found), folder)

    def kept(folder: Path) -> list[Path]:
        out = folder / "out"
        return [out / "run.json", out / "inputs.parquet", *sorted(out.glob("part-*"))]

    return Scenario("a Ray run", predict, predict, answer, kept=kept)


@contextmanager
def cluster() -> Iterator[str]:
    """Run a small cluster in processes of its own; give its address.

    None of it is in this process, whose forks would hang in gRPC.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
        f"--port={port}", "--num-cpus=1",
        f"--object-store-memory={80 * 2**20}", "--include-dashboard=false",
        "--disable-usage-stats",
    ]  # fmt: skip
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = {**os.environ, "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}
    head = subprocess.Popen(
        line, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        ends = time.monotonic() + STARTS
        while not _is_up(head.pid, port) and time.monotonic() < ends:
            time.sleep(0.2)
        time.sleep(2)  # until it is known to itself
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        with suppress(subprocess.TimeoutExpired):
            head.wait(60)
        survivors(head.pid, 5.0)


def _is_up(head: int, port: int) -> bool:
    names = [each.name() for each in psutil.Process(head).children(recursive=True)]
    with socket.socket() as asked:
        return any("raylet" in name for name in names) and not asked.connect_ex(("127.0.0.1", port))


def left_workers(seconds: float = 30.0) -> list[str]:
    """Return the workers that still hold a backbone, after some seconds."""
    ends = time.monotonic() + seconds
    while (left := _workers()) and time.monotonic() < ends:
        time.sleep(0.2)
    return left


def _workers() -> list[str]:
    names = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            name = " ".join(process.cmdline())
            if name.startswith("ray::") and "MapWorker" in name:
                names.append(name)
    return names
