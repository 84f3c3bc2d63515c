"""Break runs of every kind, go on with them, and compare with unbroken ones.

    OMP_NUM_THREADS=1 python -m benchmarks.faults

Prints Markdown tables for docs/trust.md; a line on stderr tells each fault. The network is a random
one of 16 pixels, so that a run takes seconds and most of it is the package's own. Linux alone: runs
are forked, and a small disk is mounted where that is allowed (else files are limited in size).
"""

import argparse
import os
import sys
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
from benchmarks.faults.clusters import cluster, left_workers, ray_scenario
from benchmarks.faults.conditions import Tried, cut_files, fill_disk, take_permissions
from benchmarks.faults.killing import Row, kill
from benchmarks.faults.losing import lose_one
from benchmarks.faults.scenarios import Scenario, prediction, scenarios
from benchmarks.faults.serving import fill_server, kill_server
from benchmarks.faults.together import read_while_written, run_both
from benchmarks.faults.world import World, make_world
from prompttune.hub.https_zoo import write_index
from prompttune.utils.pages import table

KILLS = ["killed", "random moments", "changes of files", "lost", "wrong", "hidden files left"]
TRIES = ["run", "what happened", "tries", "refused in one line", "faults"]
PARTS = ("kills", "conditions", "together", "losing")


def main() -> None:
    """Break what was asked for, and print tables."""
    given = _parse()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for one who may read and not write
        world = make_world(folder / "world")
        url, server = _serve(world)
        wanted = [each for each in scenarios(world, url) if _is_wanted(given, each.name)]
        rows, tried = [], []
        if "kills" in given.parts:
            rows = _kills(given, world, wanted, folder / "kills")
        if "conditions" in given.parts:
            tried += _conditions(given, world, wanted, folder / "conditions")
        if "together" in given.parts:
            tried += _together(given, world, wanted, folder / "together")
        if "losing" in given.parts:
            tried += _losing(given, world, folder / "losing")
        os.kill(server, processes.signal.SIGKILL)
        os.waitpid(server, 0)
    print(table(KILLS, [row.cells() for row in rows]), "\n")
    print(table(TRIES, [each.cells() for each in tried]))
    sys.exit(any(row.lost or row.wrong for row in rows) or any(each.faults for each in tried))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--moments", type=int, default=20, help="random ones, of each kind of run (%(default)s)")
    add("--operations", type=int, default=20, help="changes of files, at most (%(default)s)")
    add("--tries", type=int, default=5, help="of two at once (%(default)s)")
    add("--seed", type=int, default=0)
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="(default: all)")
    add("--only", nargs="+", default=[], help="words of the kinds of runs")
    return parser.parse_args()


def _is_wanted(given: argparse.Namespace, name: str) -> bool:
    return not given.only or any(word in name for word in given.only)


def _kills(
    given: argparse.Namespace, world: World, wanted: list[Scenario], folder: Path
) -> list[Row]:
    rows = []
    for number, scenario in enumerate(wanted):
        place = folder / str(number)
        rows.append(kill(scenario, place, given.moments, given.operations, given.seed, _say))
        _say(" | ".join(rows[-1].cells()))
    if _is_wanted(given, "the server"):
        rows.append(kill_server(world, folder / "server", given.moments, given.seed, _say))
        _say(" | ".join(rows[-1].cells()))
    if _is_wanted(given, "a Ray run"):
        with cluster() as address:
            ray = ray_scenario(world, address)
            row = kill(ray, folder / "ray", given.moments, given.operations, given.seed, _say)
            row.wrong += [f"left running: {each}" for each in left_workers()]
        rows.append(row)
        _say(" | ".join(row.cells()))
    return rows


def _conditions(
    given: argparse.Namespace, world: World, wanted: list[Scenario], folder: Path
) -> list[Tried]:
    tried = []
    for number, scenario in enumerate(wanted):
        ways = [fill_disk, take_permissions, *([cut_files] if scenario.has_kept else [])]
        for way in ways:
            tried.append(_told(way(scenario, folder / f"{number}-{way.__name__}")))
    if _is_wanted(given, "the server"):
        tried.append(_told(fill_server(world, folder / "server")))
    if _is_wanted(given, "a Ray run"):
        with cluster() as address:
            tried.append(_told(fill_disk(ray_scenario(world, address), folder / "ray")))
    return tried


def _together(
    given: argparse.Namespace, world: World, wanted: list[Scenario], folder: Path
) -> list[Tried]:
    tried = []
    for number, scenario in enumerate(wanted):
        place = folder / str(number)
        tried.append(_told(run_both(scenario, scenario, place, given.tries, given.seed)))
    if _is_wanted(given, "two keys"):
        pair = [prediction(world, name, f"two keys: {name}") for name in "ab"]
        tried.append(_told(run_both(*pair, folder / "keys", given.tries, given.seed)))
    if _is_wanted(given, "a zoo"):
        tried.append(_told(read_while_written(world, folder / "zoo", 10 * given.tries)))
    return tried


def _losing(given: argparse.Namespace, world: World, folder: Path) -> list[Tried]:
    tried = []
    for name in ("tuning", "pretraining"):
        if _is_wanted(given, name):
            tries, faults = lose_one(world, name, folder / name, _say)
            tried.append(Tried(f"{name} by two", "one process lost", tries, 0, faults))
    return tried


def _told(tried: Tried) -> Tried:
    for text in tried.faults:
        _say(text)
    _say(" | ".join(tried.cells()))
    return tried


def _say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr, flush=True)


def _serve(world: World) -> tuple[str, int]:
    """Serve the world's zoo from a process of its own; return its URL and its number."""
    write_index(world.zoo, [world.zoo / name for name in "ab"])
    handler = partial(SimpleHTTPRequestHandler, directory=str(world.zoo))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    child = processes.start(server.serve_forever, world.folder, world.folder / "server.log")
    return f"http://127.0.0.1:{server.server_address[1]}", child


if __name__ == "__main__":
    main()
