"""Run by a test in a process of its own: a cluster of two nodes, whose worker is killed midway.

python cluster.py FOLDER IMAGES BACKBONE
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from prompttune.batch import ray_predict
from prompttune.prompts.prompt import Prompt


def kill_one(output: Path, killed: list[int]) -> None:
    """Kill the worker that finished the first part, at once and for good."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        for part in output.glob("part-*.parquet"):
            pid = int(pq.read_table(part)["worker"][0].as_py().rpartition(":")[2])
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.01)


def main(output: Path, images: Path, backbone: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    mask = np.kron(np.array([[0, 1], [2, 0]]), np.ones((8, 8), int)).astype(np.uint8)
    prompt = Prompt.from_examples([(image, mask)], scale=1.0, canvas=16)
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    cluster.add_node(**node)
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(output, killed))
    killer.start()
    paths = sorted(map(str, images.iterdir()))
    asked = {"address": cluster.address, "workers": (2, 2), "backbone": backbone, "part_size": 4}
    done = ray_predict(paths, prompt, str(output), **asked)
    killer.join()
    for part in (0, 3):  # as if it had been stopped before these
        (output / f"part-{part:06}.parquet").unlink()
    again = ray_predict(paths, prompt, str(output), **asked)
    numbers = killed[0], done.images, done.before, done.bad, again.images, again.before
    print("RESULT", *numbers, flush=True)  # first: Ray may end this process with the cluster
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
