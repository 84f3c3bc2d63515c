"""Two at once: runs in one folder, saves of one key, and a zoo that is read while it is written."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.conditions import Tried
from benchmarks.faults.processes import Ended, start, survivors
from benchmarks.faults.scenarios import Scenario, mixture
from benchmarks.faults.whole import halves
from benchmarks.faults.world import World, make_key


def run_both(first: Scenario, second: Scenario, folder: Path, tries: int, seed: int) -> Tried:
    """Start a second run in the folder of a first: refused, or the answer is one of the two.

    Args:
        first: begins.
        second: begins a little later, in the same folder.
        folder: an empty one.
        tries: how often.
        seed: of the moments.
    """
    answers, seconds = [], 0.0
    for number, each in enumerate((first, second)):
        alone = folder / f"alone-{number}"
        alone.mkdir(parents=True)
        began = time.monotonic()
        (ended,) = _run([each], alone, [0.0])
        seconds = max(seconds, time.monotonic() - began)
        assert ended.code == 0, ended.said
        answers.append(each.answer(alone))
    tried, rng = Tried(first.name, "two at once"), random.Random(seed)
    for number in range(tries):
        both = folder / "both"
        shutil.rmtree(both, ignore_errors=True)
        both.mkdir()
        after = rng.random() * seconds * 0.8
        ends = _run([first, second], both, [0.0, after])
        tried.tries += 1
        tried.refused += sum(each.is_one_line for each in ends)
        wrong = [f"half there: {name}" for name in halves(both)]
        wrong += [
            f"exit code {each.code}: {each.said.strip()[-300:]}"
            for each in ends
            if each.code and not each.is_one_line
        ]
        if all(each.code for each in ends):
            wrong.append("neither ended well")
        elif first.answer(both) not in answers:
            wrong.append("a mixture")
        tried.faults += [f"{first.name}, try {number}, {after:.2f} s apart: {w}" for w in wrong]
    return tried


def _run(several: list[Scenario], folder: Path, after: list[float]) -> list[Ended]:
    children, began = [], time.monotonic()
    for number, (each, seconds) in enumerate(zip(several, after, strict=True)):
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        log = folder.with_name(f"{folder.name}-{number}.log")
        goes_on = number > 0 and each is several[0]
        work = each.again(folder) if goes_on else each.begin(folder)
        children.append((start(work, folder, log), log))
    ends = []
    for child, log in children:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = log.read_text(errors="replace")
        ends.append(Ended(code, said, time.monotonic() - began, left=survivors(child)))
    return ends


def read_while_written(world: World, folder: Path, saves: int) -> Tried:
    """Let two processes save a key in turn, while this one reads it: always one of the two."""
    from prompttune.prompts.loading import load_key
    from prompttune.zoo.store import list_keys

    keys = {looks: make_key(world, "mine", looks)[0] for looks in ("mine", "other")}
    known = {float(key.images[0].double().sum()): looks for looks, key in keys.items()}
    zoo = folder / "zoo"
    keys["mine"].save(zoo / "mine")

    def save(looks: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(saves):
                keys[looks].save(zoo / "mine", overwrite=True)

        return work

    children = [start(save(looks), folder, folder / f"{looks}.log") for looks in keys]
    tried, running = Tried("a zoo", "read while two write"), set(children)
    ended: dict[int, int] = {}
    while running:
        prompt, _ = load_key(zoo / "mine")
        (listed,) = [each for each in list_keys(zoo) if not each.shipped]
        tried.tries += 1
        if float(prompt.images[0].double().sum()) not in known or listed.problem:
            tried.faults.append(f"read a mixture ({listed.problem})")
        for child in [each for each in running if os.waitpid(each, os.WNOHANG)[0]]:
            running.discard(child)
            ended[child] = 0
    tried.faults += [f"mixed: {name}" for name in mixture(zoo / "mine")]
    tried.faults += [f"half there: {name}" for name in halves(zoo)]
    said = "".join((folder / f"{looks}.log").read_text() for looks in keys)
    tried.faults += ["a saver failed"] * ("Error" in said)
    return tried
