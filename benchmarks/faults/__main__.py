"""Break runs of every kind, go on with them, and compare with unbroken ones.

    OMP_NUM_THREADS=1 python -m benchmarks.faults --moments 20 --operations 20

Prints Markdown tables for docs/trust.md; a line on stderr tells each fault. The network is a random
one of 16 pixels, so that a run takes seconds and most of it is the package's own. Linux alone: runs
are forked, and a small disk is mounted where that is allowed (else files are limited in size).
"""

import argparse
import os
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning.pytorch  # noqa: F401  # here, and not in every child
import torch

import prompttune.cli.compare
import prompttune.cli.predict
import prompttune.cli.pretrain
import prompttune.cli.tune
import prompttune.cli.zoo
import prompttune.inference.batch
import prompttune.pretraining.run
import prompttune.tuning.run
import prompttune.workflows.finish  # noqa: F401
from benchmarks.faults import processes
from benchmarks.faults.killing import Row, kill
from benchmarks.faults.scenarios import scenarios
from benchmarks.faults.world import World, make_world
from prompttune.hub.https_zoo import write_index
from prompttune.utils.pages import table

HEADS = ["run", "random moments", "changes of files", "lost", "wrong", "hidden files left"]


def main() -> None:
    """Break what was asked for, and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", type=int, default=20, help="random ones, of each kind of run")
    parser.add_argument("--operations", type=int, default=20, help="changes of files, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], help="words of the kinds of runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="faults-") as name:
        world = make_world(Path(name) / "world")
        url, server = _serve(world)
        rows = []
        for scenario in scenarios(world, url):
            if given.only and not any(word in scenario.name for word in given.only):
                continue
            began, folder = time.monotonic(), Path(name) / f"run-{len(rows)}"
            row = kill(scenario, folder, given.moments, given.operations, given.seed, _say)
            rows.append(row)
            _say(f"{' | '.join(row.cells())} ({time.monotonic() - began:.0f} s)")
        os.kill(server, processes.signal.SIGKILL)
        os.waitpid(server, 0)
    _print(rows)
    sys.exit(any(row.lost or row.wrong for row in rows))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(rows: list[Row]) -> None:
    print(table(HEADS, [row.cells() for row in rows]))


def _serve(world: World) -> tuple[str, int]:
    """Serve the world's zoo from a process of its own; return its URL and its number."""
    write_index(world.zoo, [world.zoo / name for name in "ab"])
    handler = partial(SimpleHTTPRequestHandler, directory=str(world.zoo))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    child = processes.start(server.serve_forever, world.folder, world.folder / "server.log")
    return f"http://127.0.0.1:{server.server_address[1]}", child


if __name__ == "__main__":
    main()
