"""Full disks, folders that may not be written, and checkpoints that are cut: one line, then all."""

import codecs
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.processes import Ended, run
from benchmarks.faults.scenarios import Scenario
from benchmarks.faults.whole import halves

SHARES = (0.02, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Of the disk that an unbroken run needs."""
CUTS = (0.0, 0.5, 0.99)
"""What is left of a file."""
NOBODY = 65534
ROOM = 2**26
Work = Callable[[], None]


@dataclass
class Tried:
    """One line of the table."""

    name: str
    what: str
    tries: int = 0
    refused: int = 0
    """That ended in one line and exit code 2."""
    faults: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the row of a Markdown table."""
        return [self.name, self.what, str(self.tries), str(self.refused), str(len(self.faults))]

    def judge(
        self, when: str, ended: Ended, folder: Path, answer: Callable[[], dict[str, str]],
        expected: dict[str, str], must_end_well: bool = False,
    ) -> None:  # fmt: skip
        """Take a run's end: refused in one line, or the right answer."""
        self.refused += ended.is_one_line
        wrong = [f"half there: {name}" for name in halves(folder)]
        wrong += [f"left running: {name}" for name in ended.left]
        if ended.code == 0:
            found = answer()
            wrong += [f"lost: {name}" for name in expected if found.get(name) != expected[name]]
        elif not ended.is_one_line or must_end_well:
            wrong.append(f"exit code {ended.code}: {ended.said.strip()[-300:]}")
        self.faults += [f"{self.name}, {self.what}, {when}: {text}" for text in wrong]


def fill_disk(scenario: Scenario, folder: Path) -> Tried:
    """Run on disks that are too small, and go on once there is room."""
    whole, expected = _unbroken(scenario, folder)
    needed = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    tried, broken = Tried(scenario.name, "full disk"), folder / "broken"

    def answer() -> dict[str, str]:
        return scenario.answer(broken)

    for share in SHARES:
        with disk(broken, int(share * needed)) as (limit, free):
            ended = run(scenario.begin(broken), broken, before=limit)
            tried.tries += 1
            tried.judge(f"{share:.0%}", ended, broken, answer, expected)
            free()
            again = run(scenario.again(broken), broken)
            tried.judge(f"{share:.0%}, then room", again, broken, answer, expected, True)
    return tried


@contextmanager
def disk(folder: Path, size: int) -> Iterator[tuple[Work | None, Work]]:
    """Mount a disk of a size; where that is not allowed, limit the size of files.

    Args:
        folder: is made anew, and is the disk.
        size: in bytes.

    Yields:
        What a child must call first, where files are limited, and what makes room.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={max(4096, size)}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        most = max(512, size // 8)  # a run has several files
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)), lambda: None
        return
    larger = ["mount", "-o", f"remount,size={ROOM}", str(folder)]
    try:
        yield None, lambda: _checked(larger)
    finally:
        _checked(["umount", str(folder)])


def _checked(line: list[str]) -> None:
    subprocess.run(line, check=True, capture_output=True)


def take_permissions(scenario: Scenario, folder: Path) -> Tried:
    """Run as a user who may not write: from the start, and from the middle of a run on."""
    whole, expected = _unbroken(scenario, folder)
    tried, broken = Tried(scenario.name, "no permission"), folder / "broken"
    half = run(scenario.begin(whole), _fresh(whole)).operations // 2
    for when, at in (("from the start", None), ("from the middle", half)):
        _fresh(broken)
        if at:
            run(scenario.begin(broken), broken, at_operation=at)
        _allow(broken, False)
        ended = run(scenario.again(broken), broken, before=_become_nobody)
        tried.tries += 1
        if ended.code == 0:
            tried.faults.append(f"{scenario.name}: wrote where it may not")
        tried.judge(when, ended, broken, lambda: scenario.answer(broken), expected)
        _allow(broken, True)
        again = run(scenario.again(broken), broken, before=_become_nobody)
        tried.judge(
            f"{when}, then allowed", again, broken, lambda: scenario.answer(broken), expected, True
        )
    return tried


def _allow(folder: Path, write: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chmod(path, (0o777 if path.is_dir() else 0o666) & (0o777 if write else 0o555))


def _become_nobody() -> None:
    codecs.lookup("unicode-escape")  # of pages; an interpreter below /root cannot load it later
    if os.getuid() == 0:  # root may do all
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def cut_files(scenario: Scenario, folder: Path) -> Tried:
    """Cut each file from which a run goes on: it is refused, or does not change the answer."""
    assert scenario.kept is not None
    whole, expected = _unbroken(scenario, folder)
    operations = run(scenario.begin(whole), _fresh(whole)).operations
    stopped, broken = folder / "stopped", folder / "broken"
    run(scenario.begin(broken), _fresh(broken), at_operation=max(1, 3 * operations // 5))
    shutil.rmtree(stopped, ignore_errors=True)
    shutil.copytree(broken, stopped)
    tried = Tried(scenario.name, "cut checkpoint")
    for path in (each for each in scenario.kept(broken) if each.is_file()):
        inside = path.relative_to(broken)
        for cut in CUTS:
            _fresh(broken)
            shutil.copytree(stopped, broken, dirs_exist_ok=True)
            content = path.read_bytes()
            path.write_bytes(content[: int(cut * len(content))])
            ended = run(scenario.again(broken), broken)
            tried.tries += 1
            if ended.is_one_line:
                tried.refused += 1
                continue
            when = f"{inside} cut to {cut:.0%}"
            tried.judge(when, ended, broken, lambda: scenario.answer(broken), expected, True)
    return tried


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _unbroken(scenario: Scenario, folder: Path) -> tuple[Path, dict[str, str]]:
    whole = folder / "whole"
    ended = run(scenario.begin(whole), _fresh(whole))
    assert ended.code == 0, f"{scenario.name}: {ended.said}"
    return whole, scenario.answer(whole)
