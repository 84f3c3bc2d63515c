"""Runs a command as four processes of two nodes on loopback, as torchrun starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_on_two_nodes(module: str, words: list[str], folder: Path) -> list[str]:
    """Run `python -m MODULE WORDS --devices 2 --nodes 2` twice by torchrun; all must succeed.

    Args:
        module: its name.
        words: of its command line.
        folder: to run in.

    Returns:
        What each node printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=2"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    nodes = [
        subprocess.Popen(
            [*torchrun, f"--node-rank={rank}", "-m", module, *words, "--devices=2", "--nodes=2"],
            cwd=folder,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(2)
    ]
    printed = [node.communicate(timeout=240)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(printed)[-6000:]
    return printed
