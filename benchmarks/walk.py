"""How far a command walks through the package: files, and calls from file to file.

    python -m benchmarks.walk               # predict with a key, and fit on a folder of images
    python -m benchmarks.walk --functions   # and what it calls of each file

A file counts when one of its functions is called; what merely runs because a file is imported does
not count. An edge is a pair of files of which one calls the other, also through a library. Each
command runs in a process of its own on a few generated PNG files.
"""

import argparse
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGE = f"{ROOT / 'prompttune'}/"
COMMANDS = ("predict", "fit")


class Walk:
    """A profiler that notes which of the package's functions are called, and from which file."""

    def __init__(self) -> None:
        self.functions: dict[str, set[str]] = defaultdict(set)
        self.edges: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """Take note of one call; the signature is that of `sys.setprofile`."""
        code = frame.f_code
        if event != "call" or not _is_own(frame) or _is_import(frame):
            return
        self.functions[code.co_filename].add(code.co_qualname)
        caller = frame.f_back
        while caller is not None and not _is_own(caller):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            self.edges.add((caller.f_code.co_filename, code.co_filename))


def _is_own(frame: FrameType) -> bool:
    """Whether a frame runs Python of the package; its templates are compiled under their names."""
    name = frame.f_code.co_filename
    return name.startswith(PACKAGE) and name.endswith(".py")


def _is_import(frame: FrameType | None) -> bool:
    """Whether a frame runs because a file is imported: bodies of modules and what they call."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and _is_own(frame):
            return True
        frame = frame.f_back
    return False


def make_images(folder: Path) -> None:
    """Write six small images, each with a bright rectangle, and their masks."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(6):
        mask = np.zeros((60, 60), np.uint8)
        mask[10:30, 10 + number : 40] = 255
        image = rng.integers(0, 100, (60, 60, 3), np.uint8) + mask[..., None] // 2
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


def words(command: str, folder: Path) -> list[str]:
    """Return the arguments of a plain run of a command that needs seconds."""
    if command == "predict":
        image = str(folder / "set" / "images" / "0.png")
        return ["--prompt", "retina", image, "--output", str(folder / "out"), "--device", "cpu"]
    return [
        "--task", "custom", "--data", str(folder / "set"), "--scale", "2", "--init", "noise",
        "--max_steps", "2", "--val_every", "2", "--val_crops", "2", "--batch", "2", "--name", "x",
        "--prompts_zoo", str(folder / "zoo"), "--output", str(folder / "run"), "--device", "cpu",
    ]  # fmt: skip


def follow(command: str, folder: Path) -> Walk:
    """Run a command in this process, and return its walk."""
    from prompttune.cli import predict, tune

    main = {"predict": predict.main, "fit": tune.main}[command]
    walk = Walk()
    threading.setprofile(walk)
    sys.setprofile(walk)
    try:
        code = main(words(command, folder))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if code:
        sys.exit(code)
    return walk


def main() -> None:
    """Count the walk of each command, or of one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--functions", action="store_true", help="list what is called of each file")
    parser.add_argument("--command", choices=COMMANDS, help="of one command, in this process")
    options = parser.parse_args()
    if options.command is None:
        more = ["--functions"] if options.functions else []
        for command in COMMANDS:
            line = [sys.executable, "-m", "benchmarks.walk", "--command", command, *more]
            subprocess.run(line, cwd=ROOT, check=True)
        return
    with TemporaryDirectory() as folder:
        make_images(Path(folder) / "set")
        walk = follow(options.command, Path(folder))
    if options.functions:
        for file, names in sorted(walk.functions.items()):
            print(f"{file.removeprefix(PACKAGE)}: {', '.join(sorted(names))}")
    print(f"{options.command}: {len(walk.functions)} files, {len(walk.edges)} edges")


if __name__ == "__main__":
    main()
