"""Runs on a Ray cluster of this machine whose driver is killed, and go on."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.faults.processes import command
from benchmarks.faults.scenarios import Scenario
from benchmarks.faults.whole import digests
from benchmarks.faults.world import World

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
    """Run a small cluster in processes of its own; give its address."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield made.address
    finally:
        made.shutdown()


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
