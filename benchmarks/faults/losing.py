"""One process of two is lost: the other ends as well, and going on gives what two would have."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.faults.processes import Ended, survivors
from benchmarks.faults.whole import digests, halves
from benchmarks.faults.world import World

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0
LIVES_ON = 120.0
"""Seconds within which the process that is left must end."""
Kind = tuple[Callable[[Path], list[str]], str, Callable[[Path], dict[str, str]]]
"""From a folder to a command line, a file that is there once something is kept, the answer."""


def lose_one(
    world: World, name: str, folder: Path, say: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Kill the first and the second process of a run of two, go on, and compare.

    Args:
        world: what is read.
        name: "tuning" or "pretraining".
        folder: an empty one.
        say: gets a line for each fault.

    Returns:
        How often one was killed, and the faults.
    """
    line, kept, answer = _KINDS[name](world)
    whole = folder / "whole"
    ended = _run([*line(whole)], whole)
    assert ended.code == 0, ended.said
    expected, faults = answer(whole), []
    for rank in (0, 1):
        broken = folder / f"lost-{rank}"
        ended = _run([*line(broken)], broken, rank, broken / kept)
        wrong = [] if ended.code else ["went on with one process"]
        wrong += [f"left running: {each}" for each in ended.left]
        wrong += [f"half there: {each}" for each in halves(broken)]
        again = _run([*line(broken), "--resume"], broken)
        if again.code:
            wrong.append(f"exit code {again.code}: {again.said.strip()[-300:]}")
        elif answer(broken) != expected:
            wrong.append("another answer")
        for text in wrong:
            say(f"{name} by two, process {rank} lost: {text}")
        faults += wrong
    return 2, faults


def _run(line: list[str], folder: Path, rank: int | None = None, kept: Path | None = None) -> Ended:
    """Run a command of two processes, and kill one of them once a file is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(f"{folder.name}.log")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    with log.open("w") as printed:
        first = subprocess.Popen(
            line, stdout=printed, stderr=printed, env=env, cwd=folder, start_new_session=True
        )
    if kept is not None and rank is not None:
        while not kept.exists() and first.poll() is None:
            time.sleep(0.02)
        others = [
            each for each in psutil.Process(first.pid).children() if "--devices" in each.cmdline()
        ]
        os.kill(first.pid if rank == 0 else others[0].pid, signal.SIGKILL)
    try:
        code = first.wait(LIVES_ON if rank is not None else PATIENCE)
    except subprocess.TimeoutExpired:
        code = 1
    left = survivors(first.pid, LIVES_ON)
    return Ended(code, log.read_text(errors="replace"), time.monotonic() - began, left=left)


def _tuning(world: World) -> Kind:
    def line(folder: Path) -> list[str]:
        words = (
            sys.executable, "-m", "prompttune.fit", "--task", "custom", "--data", world.data,
            "--classes", "square", "--scale", "1", "--init", "noise", "--device", "cpu",
            "--precision", "fp32", "--backbone", world.backbone, "--name", "tuned", "--max_steps",
            60, "--val_every", 3, "--batch", 2, "--val_crops", 4, "--devices", 2, "--prompts_zoo",
            folder / "zoo", "--output", folder / "run",
        )  # fmt: skip
        return [str(word) for word in words]

    def answer(folder: Path) -> dict[str, str]:
        return digests([folder / "zoo" / "tuned" / "prompt.safetensors"], folder)

    return line, "run/last.ckpt", answer


def _pretraining(world: World) -> Kind:
    def line(folder: Path) -> list[str]:
        words = (
            sys.executable, "-m", "prompttune.pretrain", "--recipe", world.recipe, "--device",
            "cpu", "--devices", 2, "--output", folder / "run",
        )  # fmt: skip
        return [str(word) for word in words]

    def answer(folder: Path) -> dict[str, str]:
        return digests([folder / "run" / "backbone.safetensors"], folder)

    return line, "run/state/state.json", answer


_KINDS = {"tuning": _tuning, "pretraining": _pretraining}
